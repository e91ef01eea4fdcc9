"""The pictures that the documents show are there, small, and each is shown somewhere."""

from __future__ import annotations

import re
import struct

from scripts.astro_settings import ROOT

IMAGES = ROOT / "docs" / "images"
PICTURE = re.compile(r"!\[([^\]]+)\]\(([^)]+\.png)\)|<img [^>]*src=\"([^\"]+\.png)\"[^>]*alt=\"([^\"]+)\"")
LARGEST_TOGETHER = 400_000  # bytes
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def shown() -> dict[str, str]:
    """Return the pictures that README and docs name, and what each says to those who do not see it."""
    found = {}
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for words, path, source, alternative in PICTURE.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / (path or source)).resolve()
            found[target.relative_to(ROOT).as_posix()] = words or alternative
    return found


def test_pictures__named_in_readme_and_docs__are_exactly_those_there_are() -> None:
    there = {file.relative_to(ROOT).as_posix() for file in IMAGES.iterdir()}
    assert shown().keys() == there
    assert any(path.endswith("page-light.png") for path in shown())


def test_pictures__each__says_in_words_what_it_shows() -> None:
    assert [path for path, words in shown().items() if len(words.split()) < 4] == []


def test_pictures__are_png_of_a_sensible_size_and_small_together() -> None:
    total = 0
    for file in IMAGES.iterdir():
        content = file.read_bytes()
        assert content.startswith(SIGNATURE), file.name
        width, height = struct.unpack(">II", content[16:24])
        assert 300 < width <= 1600, file.name
        assert 300 < height <= 2400, file.name
        total += len(content)
    assert 0 < total <= LARGEST_TOGETHER
