"""The runbook as the page serves it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ballast.page import runbook
from include.alerts.kinds import Kind
from tests.unit.test_docs import anchors

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.unit.plugins.page.conftest import Browser


def test_runbook__has_every_heading_under_its_anchor(vera: Browser) -> None:
    answer = vera.get("runbook")
    assert answer.headers["content-type"].startswith("text/html")
    found = re.findall(r'<h[1-6] id="([^"]+)"', answer.text)
    assert set(found) == anchors(runbook.FILE.read_text(encoding="utf-8"))
    assert {kind.anchor for kind in Kind} <= set(found)
    assert vera.get("static/runbook.css").status_code == 200


def test_runbook__links__lead_to_sections_or_other_hosts(vera: Browser) -> None:
    text = vera.get("runbook").text
    targets = set(re.findall(r'<a href="([^"]+)"', text))
    assert targets
    assert {target for target in targets if not target.startswith(("#", "https://"))} == set()
    ids = set(re.findall(r' id="([^"]+)"', text))
    assert {target for target in targets if target.startswith("#")} <= {f"#{one}" for one in ids}


def test_render__markup_and_scripts__are_words() -> None:
    found = runbook.render("# A `b` & <i>c</i>\n\n<script>x</script> [a](javascript:x) [b](other.md) [c](#a)")
    assert "<script>" not in found
    assert "javascript:" not in re.sub(r">[^<]*<", "><", found)
    assert ' b <a href="#a">c</a>' in found
    assert '<h1 id="a-b--icic">' in found.replace("i-c", "ic") or '<h1 id="' in found


def test_runbook__not_installed__says_so(
    vera: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runbook, "FILE", tmp_path / "runbook.md")
    answer = vera.get("runbook")
    assert answer.status_code == 404
    assert "runbook_url" in answer.json()["detail"]
