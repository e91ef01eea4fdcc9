"""Settings to examine, without a network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from include.settings import load_settings

if TYPE_CHECKING:
    from include.settings import Settings

WALLET = "0x52908400098527886E0F7030069857D2E4169EE7"
REDEMPTION = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
TOKEN = "0x" + "11" * 20
URL_KEY = "sentinel-url-key"


def settings(**values: str) -> Settings:
    given = {
        "rebalancing_enabled": "true",
        "wallet": WALLET,
        "token_addresses": json.dumps({"AAPL": TOKEN}),
        "redemption_wallet": REDEMPTION,
        "ethereum_rpc_url": f"https://ethereum.test/v2/{URL_KEY}",
        "base_rpc_url": f"https://base.test/v2/{URL_KEY}",
    } | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items() if value})
