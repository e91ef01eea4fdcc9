from __future__ import annotations

import subprocess
import sys


def test_modules_that_need_no_node__imported__do_not_bring_web3() -> None:
    names = ("types", "errors", "erc20", "erc4626", "price_feed", "signer", "multicall")
    modules = [f"include.venues.evm.{name}" for name in names]
    heavy = "{'web3', 'eth_account'} & set(sys.modules)"
    code = f"import sys, {', '.join(modules)}; sys.exit(' '.join({heavy}) or 0)"

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
