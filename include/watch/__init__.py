"""One look for all who wait, and an eye on the balances between two checks. Nothing here moves anything."""
