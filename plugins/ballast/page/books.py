"""Which books there are, and where the page of each is."""

# Annotations are not put off here: FastAPI reads them when a route is made.

from fastapi import Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from ballast.page.mount import BOOKS
from include.settings import books
from include.settings.names import Names


class Shown(BaseModel):
    """A book that one may look at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Empty for the book without a name.")
    label: str = Field(description="What it is called.")
    href: str = Field(description="Its page, from the page that is asked.")
    current: bool = Field(description="Whether this page is its.")


def known() -> tuple[Names, ...]:
    """Return the names of all books there are, the one without a name first."""
    return tuple(Names(book) for book in books())


def below(names: Names) -> str:
    """Return the path of a book's page below `/ballast/`."""
    return f"{BOOKS.removeprefix('/')}{names.book}/" if names.book else ""


def way(to: Names, seen_from: Names) -> str:
    """Return the relative address of a book's page, from that of another or its own."""
    if to == seen_from:
        return "./"
    return ("../" * below(seen_from).count("/") + below(to)) or "./"


def shown(names: Names, seen_from: Names) -> Shown:
    """Return a book as the page of another or its own shows it."""
    current = names == seen_from
    return Shown(name=names.book, label=names.label, href=way(names, seen_from), current=current)


def led_to(names: Names, seen_from: Names, request: Request, *, more: str = "") -> RedirectResponse:
    """Lead to the page of another book, with the same question.

    :param more: what follows the path of its page.
    """
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{way(names, seen_from)}{more}{query}", 303)
