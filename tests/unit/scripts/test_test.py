from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import test as runner

if TYPE_CHECKING:
    from pathlib import Path

REPORT = '<testsuites><testsuite tests="10" failures="2" errors="1" skipped="3"/></testsuites>'


def test_counted__a_report__is_added_up(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    outcome = runner.counted("unit", report, 1)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (4, 3, 3)
    assert str(outcome) == "unit 4 passed, 3 failed, 3 skipped"


def test_counted__pytest_broke_without_a_report__is_a_failure(tmp_path: Path) -> None:
    assert runner.counted("unit", tmp_path / "absent.xml", 3).failed == 1


def test_counted__no_tests__is_nothing(tmp_path: Path) -> None:
    assert str(runner.counted("e2e", tmp_path / "absent.xml", 5)) == "e2e nothing"


def test_kinds__this_repository__begins_with_unit() -> None:
    assert runner.kinds()[0] == "unit"


@pytest.mark.parametrize(("failed", "code"), [(0, 0), (1, 1)])
def test_main__outcomes__are_summed_up_in_the_last_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failed: int, code: int
) -> None:
    given: list[tuple[str, list[str]]] = []

    def run(kind: str, extra: list[str]) -> runner.Outcome:
        given.append((kind, extra))
        return runner.Outcome(kind, 5, failed, 0)

    monkeypatch.setattr(runner, "run", run)

    assert runner.main(["unit", "--", "-k", "plan"]) == code

    assert given == [("unit", ["-k", "plan"])]
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"tests: 5 passed, {failed} failed in ")


def test_main__unknown_kind__is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["units"])
    assert "no such kind of test: units" in capsys.readouterr().err
