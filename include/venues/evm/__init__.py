"""A client of EVM chains: reads, simulations, broadcasts and receipts, each tried once."""
