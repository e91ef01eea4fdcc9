"""A Broker API that answers as Alpaca's does, with real effects on the local chains.

`journal`, `state`, `tokenization`, `wallets`, `market`, `orders` and `dollars` hold the rules and know
neither HTTP nor chains; `app` speaks HTTP; `worker` moves the work on and watches the chains; `broker` ties
them together.
"""
