"""Take the pictures of `docs/images`: the page and the DAG, of the local world in an interesting moment.

Some operations have settled by then, one waits for tokens, one for an attestation, one for a person, and an
asset is held back. A day of looks is made up before, so that the chart has a line; everything else happened.
"""

from __future__ import annotations

import io
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from include.domain.inventory import Balance, Inventory, Snapshot
from include.domain.operation import Leg, OperationKind
from include.ledger.ledger import new_id, utc_now
from include.ledger.records import CheckMode
from include.sandbox import codes
from include.sandbox.alpaca.faults import Fault
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.scenario import DESK, USDC, Shift, Side
from scripts.astro_settings import ROOT
from scripts.local_airflow import AirflowFailed
from scripts.local_ballast import DAG_ID, RUN, LocalBallast
from scripts.progress import Progress
from tests.support import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

IMAGES: Final = ROOT / "docs" / "images"
LARGEST_TOGETHER: Final = 400_000
"""Bytes of all pictures together: they are cloned with the repository."""
COLOURS: Final = 160
PATIENCE_SECONDS: Final = 900
HELD: Final = "AMZN"
PAST: Final = timedelta(hours=24)
BETWEEN_LOOKS: Final = timedelta(minutes=1)


def make_past(ballast: LocalBallast) -> None:
    """Record a day of looks in which trading has pulled every asset to where the world begins."""
    now, looks = utc_now(), int(PAST / BETWEEN_LOOKS)
    holdings = {**DESK.stocks, USDC: DESK.usdc}
    for number in range(looks):
        check_id, done = new_id(), Decimal(number) / looks
        inventories = {}
        for place, (asset, held) in enumerate(holdings.items()):
            offchain = DESK.cash if asset == USDC and DESK.cash is not None else held.offchain
            total = offchain + held.onchain
            # It goes there by fits and starts, and not in every asset alike.
            uneven = Decimal((number // 25 * 7 + place * 13) % 11 - 5) / 250
            share = Decimal("0.5") + (held.onchain / total - Decimal("0.5")) * done + uneven * (1 - done)
            onchain = round(total * share, 6)
            inventories[asset] = Inventory(asset, onchain=Balance(onchain), offchain=Balance(total - onchain))
        taken_at = now - PAST + number * BETWEEN_LOOKS
        snapshot = Snapshot(check_id, taken_at, 1, 1, inventories)
        ballast.ledger.record_check(check_id, f"made_up_{number}", CheckMode.OBSERVE, snapshot, [])


def set_stage(ballast: LocalBallast) -> None:
    """Let one operation of each kind stop half-way."""
    faults = ballast.world.broker.core.faults
    faults.arm(Fault(target="mint", kind="stuck", after=1))
    faults.arm(Fault(target="redemption", kind="reject", after=1))
    with ballast.airflow.client() as client:
        body = {"asset": HELD, "hold": True, "reason": "the stock splits tomorrow"}
        client.post("/ballast/api/hold", json=body, headers={"X-Ballast": "1"}).raise_for_status()
    ballast.world.shift(Shift(HELD, Decimal("25.5"), Side.OFFCHAIN))


@dataclass
class Scene:
    """The moment that is waited for."""

    ballast: LocalBallast

    def is_set(self) -> bool:
        """Tell whether something has settled, and the rest stands where it was stopped."""
        operations = self.ballast.ledger.operations()
        waiting = {(one.kind, leg) for one in operations if one.status.is_open for leg in self._stops(one.id)}
        settled = [one for one in operations if not one.status.is_open]
        wanted = {
            (OperationKind.MINT, Leg.MINT),
            (OperationKind.REDEMPTION, Leg.REDEEM),
            (OperationKind.USDC_ALPACA_TO_BASE, Leg.BRIDGE),
        }
        return wanted <= waiting and len(settled) >= len(wanted)

    def _stops(self, operation_id: str) -> Iterator[Leg]:
        for leg in self.ballast.ledger.legs(operation_id):
            if not leg.is_done and leg.waiting_for is not None:
                is_redemption = leg.name == Leg.REDEEM
                if leg.attention is not None or not is_redemption:
                    yield Leg(leg.name)
                return

    def stopped_redemption(self) -> str:
        """Return the run of the redemption that waits for a person."""
        return self.ballast.ledger.operations(kind=OperationKind.REDEMPTION, only_open=True)[0].run_id


def take(scene: Scene, browser: Browser) -> dict[str, bytes]:
    """Take the pictures, each by its name."""
    url = scene.ballast.airflow.url
    page = f"{url}/ballast/"
    run = f"{url}/dags/{DAG_ID}/runs/{scene.stopped_redemption()}"
    grid = f"{run}/tasks/{OperationKind.REDEMPTION}.{Leg.REDEEM}/mapped"
    return {
        "page-light": _picture(browser, f"{url}/plugin/ballast", _in_airflow, height=1240),
        "page-dark": _picture(browser, page, _whole, dark=True, height=1240),
        "page-phone": _picture(browser, page, _whole, width=390, height=1240),
        "ratio": _picture(browser, page, _ratio, height=900, of=".pair"),
        "operation": _picture(browser, page, _detail, height=900),
        "grid": _picture(browser, grid, _grid, height=900),
    }


def _picture(
    browser: Browser,
    url: str,
    ready: Any,
    *,
    width: int = 1440,
    height: int,
    dark: bool = False,
    of: str = "",
) -> bytes:
    """Open an address in a window of its own, and photograph it once it is ready.

    :param of: a part of the page to photograph alone.
    """
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(url)
        ready(page)
        page.mouse.move(0, 0)
        return page.locator(of).screenshot() if of else page.screenshot()
    finally:
        context.close()


def _whole(page: Page) -> None:
    page.locator("#freshness[data-state=live]").wait_for()
    page.locator("#history canvas").wait_for()
    page.locator(".past:not(.heads)").first.wait_for(state="attached")


def _in_airflow(page: Page) -> None:
    frame = page.frame_locator('iframe[title="Ballast"]')
    frame.locator("#freshness[data-state=live]").wait_for()
    frame.locator("#history canvas").wait_for()


def _ratio(page: Page) -> None:
    _whole(page)
    page.get_by_role("button", name="TSLA", exact=True).click()
    page.locator("figcaption", has_text="TSLA, last 24 h: from").wait_for()


def _detail(page: Page) -> None:
    _whole(page)
    page.get_by_role("button", name="Details of the USDC to Base of USDC").click()
    page.get_by_role("heading", name="What people did").wait_for()


def _grid(page: Page) -> None:
    page.get_by_role("button", name="Expand all task groups").click()
    page.get_by_role("link", name="TSLA shares").wait_for()
    page.wait_for_load_state("networkidle")


def save(pictures: dict[str, bytes]) -> int:
    """Write the pictures with few colours, and return how many bytes they are together.

    :raises ValueError: when that is too much; nothing is written then.
    """
    made = {}
    for name, content in pictures.items():
        small = io.BytesIO()
        image = Image.open(io.BytesIO(content)).convert("RGB")
        image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
        made[name] = small.getvalue()
    together = sum(map(len, made.values()))
    if together > LARGEST_TOGETHER:
        raise ValueError(f"the pictures have {together} bytes and may have {LARGEST_TOGETHER}")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (IMAGES / f"{name}.png").write_bytes(content)
    return together


def main() -> int:
    """Run the command."""
    tell = Progress()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if chromium.FOUND is None:
        sys.stderr.write(
            "screenshots: no Chromium on this machine: install it, or name it in BALLAST_CHROMIUM\n"
        )
        return 1
    feed = codes.create2_address(codes.price_feed_code())
    extra = {"BALLAST_ETH_PRICE_FEED": feed, "BALLAST_REBALANCING_CHECK_INTERVAL": "30s"}
    slow = AttestationSettings(paused=True)
    home: Path = RUN / "screenshots"
    try:
        with LocalBallast(home, tell, DESK, attestation=slow, extra=extra) as ballast:
            make_past(ballast)
            set_stage(ballast)
            ballast.unpause()
            scene = Scene(ballast)
            tell("waiting until the stage is set")
            ballast.airflow.wait_until(scene.is_set, "set", PATIENCE_SECONDS)
            tell("taking the pictures")
            with chromium.started() as browser:
                together = save(take(scene, browser))
            tell("stopping everything")
    except (AirflowFailed, ValueError) as failure:
        sys.stderr.write(f"screenshots: {failure}\nThe logs are in {home / 'airflow'}\n")
        return 1
    sys.stdout.write(f"screenshots: {together} bytes in {IMAGES.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
