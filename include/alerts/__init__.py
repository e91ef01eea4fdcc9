"""What people have to be told without looking: found in the ledger and on the chains, and put into words."""
