"""What the operator's page shows, built from the ledger and the settings. It reads, and changes nothing."""
