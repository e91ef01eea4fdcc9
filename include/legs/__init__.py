"""The legs of an operation, one file each, and what they share."""
