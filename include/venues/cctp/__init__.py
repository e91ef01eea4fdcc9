"""CCTP V2: how USDC crosses between Ethereum and Base.

`message` is the byte layout, `checks` decides whether an attested message is ours, `contracts` encodes calls
and decodes events, and `attestation` asks Circle's attestation service.
"""
