"""Raindex: vaults in Rain's OrderBook contract, as data: calls to build, answers and events to read."""
