"""The connection types of Ballast, as Airflow's connection form shows them.

The hooks themselves live in `plugins/ballast/hooks.py`. Secrets go into a password, which Airflow
encrypts at rest and masks in its pages and logs; nothing secret belongs into the extra fields.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_TEXT = {"type": ["string", "null"]}

_ALPACA: dict[str, Any] = {
    "connection-type": "alpaca",
    "hook-class-name": "ballast.hooks.AlpacaHook",
    "hook-name": "Alpaca Broker",
    "conn-fields": {
        "account_id": {
            "label": "Account id",
            "schema": _TEXT,
            "description": "UUID of the account that is kept in balance; not the account number.",
        },
        "auth": {
            "label": "Kind of credentials",
            "schema": {
                "type": ["string", "null"],
                "enum": ["key_pair", "client_credentials"],
                "default": "key_pair",
            },
            "description": "Whether login and password are a key pair, or an OAuth2 client and its secret.",
        },
        "token_url": {
            "label": "Token URL",
            "schema": _TEXT,
            "description": "Where client credentials are exchanged for a token. Empty: that of the profile.",
        },
    },
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "Broker API URL", "login": "Key id or client id", "password": "Secret"},
        "placeholders": {"host": "Empty: that of the profile"},
    },
}

_EVM: dict[str, Any] = {
    "connection-type": "evm",
    "hook-class-name": "ballast.hooks.EvmHook",
    "hook-name": "EVM wallet",
    "conn-fields": {
        "signer": {
            "label": "Signer",
            "schema": {
                "type": ["string", "null"],
                "enum": ["local", "aws_kms", "web3signer"],
                "default": "local",
            },
            "description": "Who has the key: this Connection, AWS KMS, or a Web3Signer service.",
        },
        "key_id": {
            "label": "KMS: key",
            "schema": _TEXT,
            "description": "Id, ARN or alias of the key, of the spec ECC_SECG_P256K1 for SIGN_VERIFY.",
        },
        "region": {"label": "KMS: region", "schema": _TEXT},
        "endpoint_url": {
            "label": "KMS: endpoint URL",
            "schema": _TEXT,
            "description": "Empty: that of the region.",
        },
        "ethereum_url": {
            "label": "Web3Signer: URL for Ethereum",
            "schema": _TEXT,
            "description": "The service that was started with Ethereum's chain id. No credentials in it.",
        },
        "base_url": {
            "label": "Web3Signer: URL for Base",
            "schema": _TEXT,
            "description": "The service that was started with Base's chain id. No credentials in it.",
        },
        "ca_file": {
            "label": "Web3Signer: certificates to trust",
            "schema": _TEXT,
            "description": "Path of a PEM file on the workers. Empty: the public authorities.",
        },
        "client_certificate": {
            "label": "Web3Signer: client certificate",
            "schema": _TEXT,
            "description": "Path of a PEM file on the workers with a certificate and its key.",
        },
    },
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "port", "extra"],
        "relabeling": {"login": "Address", "password": "Private key"},
        "placeholders": {
            "login": "0x and 40 hex digits; must belong to the key",
            "password": "0x and 64 hex digits; only for the signer local",
        },
    },
}

_CIRCLE: dict[str, Any] = {
    "connection-type": "circle",
    "hook-class-name": "ballast.hooks.CircleHook",
    "hook-name": "Circle CCTP attestations",
    "ui-field-behaviour": {
        "hidden-fields": ["login", "password", "schema", "port", "extra"],
        "relabeling": {"host": "Attestation service URL"},
        "placeholders": {"host": "Empty: that of the profile"},
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow asks a provider package for."""
    return {
        "package-name": "airflow-provider-ballast",
        "name": "Ballast",
        "description": "Connections to Alpaca, to an EVM wallet and to Circle's attestation service.",
        "connection-types": [_ALPACA, _EVM, _CIRCLE],
    }
