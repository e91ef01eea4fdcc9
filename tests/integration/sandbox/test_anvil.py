"""The node starts, keeps its state, and never outlives the process that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from include.sandbox import anvil
from include.sandbox.anvil import BASE_CHAIN_ID, AnvilFailedError, AnvilNotFoundError, find_anvil, start_anvil

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.sandbox.anvil import AnvilProcess

REPOSITORY = Path(__file__).resolve().parents[3]
ANYONE = "0x" + "11" * 20


def test_start__block_time__mines_by_itself() -> None:
    with start_anvil(BASE_CHAIN_ID, block_time=0.1) as node:
        assert int(node.rpc.request("eth_chainId"), 16) == BASE_CHAIN_ID
        wait_until(lambda: int(node.rpc.request("eth_blockNumber"), 16) >= 3)


def test_start__finality_blocks__tags_follow_the_head_at_that_distance(base_chain: AnvilProcess) -> None:
    base_chain.mine(5)
    numbers = {
        tag: int(base_chain.rpc.request("eth_getBlockByNumber", tag, False)["number"], 16)
        for tag in ("latest", "safe", "finalized")
    }

    assert (numbers["safe"], numbers["finalized"]) == (numbers["latest"] - 1, numbers["latest"] - 2)


def test_pid__of_a_started_node__is_anvil_itself(base_chain: AnvilProcess) -> None:
    command = Path(f"/proc/{base_chain.pid}/exe")
    if not command.exists():
        pytest.skip("this system has no /proc")

    assert command.resolve() == find_anvil()


def test_stop__with_a_state_file__the_next_start_continues_the_chain(tmp_path: Path) -> None:
    state = tmp_path / "chain.json"
    with start_anvil(BASE_CHAIN_ID, block_time=None, state=state) as node:
        node.mine(2)
        node.rpc.request("anvil_setBalance", ANYONE, "0x5")
        node.mine(1)
        head = node.rpc.request("eth_getBlockByNumber", "latest", False)
    assert not node.running

    with start_anvil(BASE_CHAIN_ID, block_time=None, state=state) as node:
        assert node.rpc.request("eth_getBlockByNumber", "latest", False)["hash"] == head["hash"]
        assert node.rpc.request("eth_getBalance", ANYONE, "latest") == "0x5"
        assert node.rpc.request("eth_getBalance", ANYONE, "0x1") == "0x0"


def test_stop__twice__is_harmless() -> None:
    node = start_anvil(BASE_CHAIN_ID, block_time=None)
    node.stop()
    node.stop()

    assert not node.running
    with pytest.raises(httpx.ConnectError):
        httpx.post(node.url, json={})


def test_start__port_is_taken__says_so(base_chain: AnvilProcess) -> None:
    port = int(base_chain.url.rsplit(":", 1)[1])

    with pytest.raises(AnvilFailedError, match="in use"):
        start_anvil(BASE_CHAIN_ID, port=port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the child of a killed process")
def test_parent_killed__the_node__ends_too() -> None:
    script = (
        "import time\n"
        "from include.sandbox.anvil import start_anvil\n"
        "node = start_anvil(1)\n"
        "print(node.url, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert answers(url)

        parent.kill()

    wait_until(lambda: not answers(url))


def test_find__nothing_installed__names_both_ways_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(anvil, "_REPOSITORY", tmp_path)

    with pytest.raises(AnvilNotFoundError, match=r"run `npm ci`, or install Foundry"):
        find_anvil()


def test_find__on_the_path__comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    native = tmp_path / "anvil"
    native.write_bytes(b"\x7fELF")
    native.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_anvil() == native


def test_find__npm_script_on_the_path__gives_the_binary_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "scope" / "anvil" / "bin.mjs"
    native = tmp_path / "scope" / "anvil-linux-amd64" / "bin" / "anvil"
    for path, content in ((script, b"#!/usr/bin/env node"), (native, b"\x7fELF")):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        path.chmod(0o755)
    (tmp_path / "anvil").symlink_to(script)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_anvil() == native


def answers(url: str) -> bool:
    try:
        return httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).is_success
    except httpx.HTTPError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)
