"""The rules, and nothing else: pure functions of their arguments, on exact amounts."""
