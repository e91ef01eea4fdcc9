"""Alpaca's Broker API: the account, tokenization and crypto wallets."""
