"""What the legs tell people is read from their source, every text of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support.asked import told

if TYPE_CHECKING:
    from pathlib import Path

SOURCE: Final = """
class Nope(Refused): ...
class Never(Nope): ...

def looks(self, step):
    what = "one" if step else f"two {step}"
    if step:
        what = "three"
    pause(1, f"for {what}", 2)
    wait = Wait(1, 2, "someone", 3, attention=None if step else f"it is {step.name}")
    why = "not told"
    if step:
        why = "told elsewhere"
        return pause(1, why, 2)
    why = f"no {step}"
    raise Never(why)

def hands(self, reason):
    return self.pause(1, reason, 2, attention=outcome.attention)

def asks(self, error):
    self.hands("for a venue")
    self.pause(1, "for a person", 2, attention=str(error))
    raise ValueError("nothing to do with it")
"""


def test_told__of_any_source__is_every_text_it_can_say(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(SOURCE, encoding="utf-8")
    heard = told(tmp_path)
    assert [(place.file, sorted(place.texts)) for place in heard.asked] == [
        ("one.py", ["it is …"]),
        ("one.py", ["for a person"]),
    ]
    assert heard.reasons == {"for one", "for two …", "for three", "someone", "for a venue", "told elsewhere"}
    assert heard.refusals == {"no …"}
