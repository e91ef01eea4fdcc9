"""What Ballast costs, measured beside what a user would otherwise pick. `make bench` runs all of it."""
