"""`GET /runbook`: the runbook of this version, so that a link in a message leads to what to do."""

# Annotations are not put off here: FastAPI reads them when a route is made.

import html
import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ballast.page.access import look_at_text

FILE: Final = Path(__file__).resolve().parents[3] / "docs" / "runbook.md"
_FRAME: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Runbook - Ballast</title>
<link rel="stylesheet" href="static/runbook.css">
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""

router = APIRouter(dependencies=[Depends(look_at_text)])


@router.get("/runbook", response_class=HTMLResponse, include_in_schema=False)
def runbook() -> HTMLResponse:
    """Return the runbook."""
    try:
        written = FILE.stat().st_mtime_ns
    except OSError:
        detail = "docs/runbook.md is not installed here; the setting runbook_url can lead elsewhere"
        raise HTTPException(status.HTTP_404_NOT_FOUND, detail) from None
    return HTMLResponse(_rendered(written))


@lru_cache(maxsize=1)
def _rendered(_written: int) -> str:
    return _FRAME.format(body=render(FILE.read_text(encoding="utf-8")))


def render(text: str) -> str:
    """Return Markdown as HTML, its headings with the anchors that the links of GitHub have.

    Markup in it is shown and not taken for markup. Links to other pages of the repository, which are not
    served here, stay as their words.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[place + 1].content))
        if token.type == "inline" and token.children:
            token.children = _served(token.children)
    rendered: str = markdown.renderer.render(tokens, markdown.options, {})
    return rendered


def anchor(heading: str) -> str:
    """Return the fragment that leads to a heading."""
    return html.escape(re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-"))


def _served(children: list[Token]) -> list[Token]:
    """Drop the links that lead to no page here and to no other host, and keep their words."""
    kept, dropping = [], False
    for child in children:
        if child.type == "link_open":
            target = str(child.attrGet("href") or "")
            dropping = not target.startswith(("#", "https://", "http://"))
        if child.type in ("link_open", "link_close") and dropping:
            continue
        kept.append(child)
    return kept
