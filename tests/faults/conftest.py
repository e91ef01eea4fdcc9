from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage.opened(tmp_path_factory.mktemp("faults") / "home") as opened:
        yield opened
        for name, seconds in opened.times.items():
            print(f"\n{name}: recovered in {seconds:.1f} s", end="")
        for text in opened.ended:
            print(f"\nended by itself, and was started again: {text}")
