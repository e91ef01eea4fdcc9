"""What was decided and what was done: the one truth about operations."""
