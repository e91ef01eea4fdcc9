from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["types", "errors", "erc20", "signer", "multicall"])
def test_module__imported_alone__does_not_bring_web3(module: str) -> None:
    heavy = "{'web3', 'eth_account'} & set(sys.modules)"
    code = f"import sys, include.venues.evm.{module}; sys.exit(bool({heavy}))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
