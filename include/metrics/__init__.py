"""What machines ask of the ledger: numbers for Prometheus, and the names of what tasks send."""
