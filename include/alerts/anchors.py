"""From what a leg tells a person to the section of `docs/runbook.md` about just that."""

from __future__ import annotations

import re
from typing import Final

from include.alerts.kinds import Kind

_SECTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), anchor)
    for pattern, anchor in (
        # A refusal quotes others, so it comes first.
        (r"the next step was refused and money is under way", "the-next-step-was-refused"),
        (r"this operation needs approval until", "an-operation-waits-for-approval"),
        (r"a withdrawal of .* and its answer was lost", "withdrawal-answer-lost"),
        (r"withdrawal .* is FAILED at Alpaca", "withdrawal-failed-with-a-transaction"),
        (r"withdrawal .* which brought no USDC", "withdrawal-brought-no-usdc"),
        (r"Alpaca knows the request's key but not", "mint-alpaca-knows-the-key-but-not-the-request"),
        (r"the mint was rejected and the position", "mint-rejected-shares-not-back"),
        (r"tokens were sent in .* and request", "redemption-rejected"),
        (r"Circle's message for .* is not our burn", "bridge-not-our-burn"),
        (r"burnt and delivered in .* minted nothing", "bridge-delivered-minted-nothing-to-the-wallet"),
        (r"Alpaca calls the deposit .* failed", "deposit-failed"),
        (r"Alpaca refuses to say what became of", "conversion-order-refused-to-be-shown"),
        (r"Alpaca does not show the order", "conversion-order-not-shown"),
        (r"Alpaca has order .* under our id", "conversion-another-order-under-our-id"),
        (r"order .* should be cancelled and is", "conversion-order-not-cancelled"),
        (r"\border .* is ", "conversion-order-status-not-known"),
        (r"transaction .* brought .* of ", "mint-fewer-tokens-came"),
        (r"\brequest .* is ", "mint-status-not-known"),
    )
)


def section_of(*texts: str | None) -> str:
    """Return the anchor of the section about what a leg asks or waits for; else of the whole chapter."""
    for text in texts:
        for pattern, anchor in _SECTIONS:
            if text and pattern.search(text):
                return anchor
    return Kind.ATTENTION.anchor


def anchor_of(kind: Kind, text: str) -> str:
    """Return the anchor of the section about an alert."""
    return section_of(text) if kind is Kind.ATTENTION else kind.anchor
