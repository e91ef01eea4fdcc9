"""What a person can do with an open operation, each act checked against the world before it is taken."""
