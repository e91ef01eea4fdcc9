"""The runbook knows everything that can ask for a person, and names only what there is.

Its links, `make` targets, files and environment variables are held by `test_docs.py`, as for all pages; its
commands of Airflow by `plugins/test_runbook_commands.py`.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from ballast import operations
from include.alerts.anchors import section_of
from include.alerts.kinds import Kind
from include.domain.decision import Reason
from include.domain.operation import Leg, OperationKind
from include.ledger.records import ANSWERS, EffectStatus, Verb
from include.legs.withdraw import REQUEST as WITHDRAWAL_REQUEST
from include.settings import AssetSettings, Names, Settings
from scripts.astro_settings import DEFAULT_FILE, ROOT
from scripts.astro_settings import read as read_airflow_settings
from tests.support.asked import told
from tests.unit.test_docs import anchors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "runbook.md"
ATTENTION: Final = "An operation asks for a person"
SLOW: Final = "An operation is slow or ends badly"
REASONS: Final = "An asset is not moved"
ALERT: Final = "An alert"
MACHINE: Final = "The machine"
# What each section of a chapter has to say.
WHOLE: Final = ("It says", "Certain", "Not certain", "Money", "Look", "Do", "Do not", "By itself")
LABELS: Final = {
    ATTENTION: WHOLE,
    SLOW: WHOLE,
    ALERT: WHOLE,
    MACHINE: WHOLE,
    REASONS: ("Means", "Do", "By itself"),
}
REFUSED: Final = "The next step was refused"
OVERDUE: Final = "Overdue"

# Links from elsewhere (alerts, pages, bookmarks) lead to these: a heading may only be renamed with them.
STABLE: Final = {
    *("is-anybody-needed", "stop", "go-on", "hold-one-asset", "where-to-look", "what-a-person-can-do"),
    *("withdrawal-answer-lost", "withdrawal-failed-with-a-transaction", "withdrawal-brought-no-usdc"),
    *("mint-status-not-known", "mint-alpaca-knows-the-key-but-not-the-request"),
    *("mint-rejected-shares-not-back", "mint-fewer-tokens-came", "redemption-rejected", "deposit-failed"),
    *("bridge-not-our-burn", "bridge-delivered-minted-nothing-to-the-wallet"),
    *("conversion-order-refused-to-be-shown", "conversion-order-not-shown"),
    *("conversion-another-order-under-our-id", "conversion-order-not-cancelled"),
    *("conversion-order-status-not-known", "the-next-step-was-refused"),
    *("overdue", "cancelled-again-and-again", "a-legs-task-failed", "an-asset-is-not-moved"),
    *("check-fails-again-and-again", "wrong-setting", "low-gas", "ledger-missing", "ledger-outdated"),
    *("restore-the-ledger", "airflow-is-down", "lost-key", "compromised-key"),
}

_FENCE: Final = re.compile(r"^ *```\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_HEADING: Final = re.compile(r"^(##|###) +(.+)$", re.MULTILINE)
_FORM: Final = re.compile(r"\s*Form: `([^`\n]+)`")
_OPERATIONS: Final = re.compile(r'make operations ARGS="([^"\n]*)"')
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_ALPACA: Final = re.compile(r"/v1/(?:trading/)?accounts/ACCOUNT(/[a-z_/:]+)")


class Section(NamedTuple):
    chapter: str
    heading: str
    text: str


def sections(text: str) -> list[Section]:
    """Read the page: its chapters, and what is in them. What stands before a chapter's first section is
    a section with the chapter's own heading."""
    found, chapter = [], ""
    parts = _HEADING.split(text)
    for level, heading, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        chapter = heading if level == "##" else chapter
        found.append(Section(chapter, heading, body))
    return found


def labelled(section: Section, label: str) -> str:
    """Return what a section says under a label, up to the next."""
    _, found, rest = section.text.partition(f"\n- **{label}:**")
    return re.split(r"^- \*\*|^\|", rest, maxsplit=1, flags=re.MULTILINE)[0] if found else ""


def first_column(text: str) -> list[str]:
    """Return what the first cell of each row of a table sets as code."""
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    return [code for row in rows for code in _CODE.findall(row)]


def by_heading(found: Iterable[Section], heading: str) -> Section:
    return next((one for one in found if one.heading == heading), Section("", heading, ""))


# What it has to cover


def uncovered(found: list[Section]) -> dict[str, set[str]]:
    """Return what the code can tell a person and no section has."""
    says = _says(found)
    return _without_empty(
        {
            "asked": {text for place in told().asked for text in place.texts} - says,
            "reasons": told().reasons - set(first_column(by_heading(found, OVERDUE).text)),
            "refusals": told().refusals - set(first_column(by_heading(found, REFUSED).text)),
            "codes": {reason.value for reason in Reason} - _reason_codes(found),
            "verbs": {verb.value for verb in Verb} - {one.heading.lower() for one in found},
        }
    )


def invented(found: list[Section]) -> dict[str, set[str]]:
    """Return what sections are about and the code never tells."""
    asked = {text for place in told().asked for text in place.texts}
    return _without_empty(
        {
            "asked": _says(found) - asked,
            "reasons": set(first_column(by_heading(found, OVERDUE).text)) - told().reasons,
            "refusals": set(first_column(by_heading(found, REFUSED).text)) - told().refusals,
            "codes": {one.heading for one in found if one.chapter == REASONS != one.heading}
            - {reason.value for reason in Reason},
        }
    )


def _says(found: list[Section]) -> set[str]:
    texts = (labelled(one, "It says") for one in found if one.chapter == ATTENTION)
    return {code for text in texts for code in _CODE.findall(text) if code not in ("waits for", "to decide:")}


def _reason_codes(found: list[Section]) -> set[str]:
    """Return the codes that have a section, and those that the chapter says need nobody."""
    quiet = set(_CODE.findall(by_heading(found, REASONS).text))
    return quiet | {one.heading for one in found if one.chapter == REASONS}


def _without_empty(found: dict[str, set[str]]) -> dict[str, set[str]]:
    return {name: texts for name, texts in found.items() if texts}


def unsaid(found: list[Section]) -> list[str]:
    """Return what sections leave open, of what each has to say."""
    return [
        f"{one.heading}: {label}"
        for one in found
        if one.heading != one.chapter
        for label in LABELS.get(one.chapter, ())
        if not labelled(one, label).strip()
    ]


# What it names


def wrong_commands(text: str) -> list[str]:
    """Return the commands that the command line does not take, or whose form does something else."""
    wrong = []
    for command, form in commands(text):
        given = _parsed(command)
        if given is None or (form and _filled_in(form) != given):
            wrong.append(command)
    return wrong


def without_form(text: str) -> list[str]:
    """Return the commands in blocks that do not say what to fill into the form instead."""
    return [command for command, form in commands(text) if form == ""]


def commands(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield the commands about operations, and the form that follows each that stands in a block."""
    for block in _FENCE.finditer(text):
        for command in _OPERATIONS.findall(block[1]):
            form = _FORM.match(text, block.end())
            yield command, form[1] if form else ""
    for command in _OPERATIONS.findall(_FENCE.sub("", text)):
        yield command, None


def _parsed(command: str) -> dict[str, str] | None:
    """Return what the form has to say to do the same as a command."""
    try:
        options = operations.parser().parse_args(shlex.split(command))
    except SystemExit:
        return None
    given = {name: getattr(options, name, "") for name in form_fields()}
    if given["reason"]:
        given["reason"] = "TEXT"
    return {name: value for name, value in given.items() if value}


def _filled_in(form: str) -> dict[str, str]:
    return dict(field.split("=", 1) for field in form.split())


@cache
def form_fields() -> tuple[str, ...]:
    """Return the fields of the form of the DAG `rebalancing_operations`."""
    tree = ast.parse((ROOT / "dags" / "rebalancing_operations.py").read_text(encoding="utf-8"))
    given = next(
        node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "params"
    )
    assert isinstance(given, ast.Dict)
    return tuple(str(key.value) for key in given.keys if isinstance(key, ast.Constant))


@cache
def dag_ids() -> set[str]:
    """Return the ids of the DAGs of the book without a name."""
    return {
        getattr(Names(), node.value.attr)
        for file in (ROOT / "dags").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "dag_id" and isinstance(node.value, ast.Attribute)
    }


@cache
def known_names() -> set[str]:
    """Return every name in the code that the page may mention."""
    airflow = read_airflow_settings(DEFAULT_FILE)
    return {
        *Settings.model_fields,
        *AssetSettings.model_fields,
        *dag_ids(),
        *airflow.connections,
        *airflow.variables,
        *(pool.name for pool in airflow.pools),
        *(reason.value for reason in Reason),
        *(kind.value for kind in OperationKind),
        *(status.value for status in EffectStatus),
        *(verb.value for verb in Verb),
        *form_fields(),
        *(leg.value for leg in Leg),
        WITHDRAWAL_REQUEST,
    }


# Words of Ballast, Airflow and the venues that are no names: states, values, commands, what tools print.
WORDS: Final = {
    *("run", "drain", "halt", "list", "show", "can", "check", "skip", "proceed", "mainnet"),
    *("waiting", "ready", "blocked", "attention", "overdue", "waiting_for", "warning", "gas", "ledger"),
    *("scheduled", "deferred", "queued", "failed", "account_id"),
}


def unknown_names(text: str) -> set[str]:
    """Return what the page sets as a name and nothing in the code is called."""
    codes = _CODE.findall(_FENCE.sub("", text))
    return {code for code in codes if _NAME.fullmatch(code)} - known_names() - WORDS


def unknown_places(text: str) -> set[str]:
    """Return the addresses at Alpaca's that no client asks."""
    clients = "".join(_read(file) for file in (ROOT / "include" / "venues" / "alpaca").glob("*.py"))
    return {path for path in _ALPACA.findall(text) if path.split(":")[0] not in clients}


def twice(text: str) -> list[str]:
    """Return the anchors that two headings have."""
    counted = Counter(anchor for _, heading in _HEADING.findall(text) for anchor in anchors(f"# {heading}"))
    return [anchor for anchor, times in counted.items() if times > 1]


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page() -> str:
    return _read(PAGE)


@pytest.fixture(scope="module")
def found(page: str) -> list[Section]:
    return sections(page)


def test_everything__that_can_ask_for_a_person__has_a_section(found: list[Section]) -> None:
    assert uncovered(found) == {}


def test_sections__are_about_what_the_code_can_tell(found: list[Section]) -> None:
    assert invented(found) == {}


def test_sections__say_all_that_a_person_needs(found: list[Section]) -> None:
    assert unsaid(found) == []
    assert {one.chapter for one in found} >= set(LABELS)


def test_anchors__are_there_once_and_stay(page: str) -> None:
    assert twice(page) == []
    assert STABLE - anchors(page) == set()


def test_alerts__of_every_kind__have_a_section(page: str) -> None:
    assert {kind.anchor for kind in Kind} - anchors(page) == set()


def test_attention__of_each_section__leads_back_to_it(found: list[Section]) -> None:
    """What a message or the page links to is the section that says these words."""
    led = {
        text: section_of(text)
        for one in found
        if one.chapter == ATTENTION
        for text in _says([one])
        if {section_of(text)} != anchors(f"# {one.heading}")
    }
    assert led == {}


def test_commands__are_taken_by_the_command_line__and_the_form_does_the_same(page: str) -> None:
    assert wrong_commands(page) == []
    assert without_form(page) == []
    assert {(_parsed(command) or {}).get("verb") for command, _ in commands(page)} >= {
        "list",
        *(verb.value for verb in Verb if verb not in ANSWERS),
    }


def test_names__of_settings_variables_dags_and_codes__exist(page: str) -> None:
    assert unknown_names(page) == set()
    assert unknown_places(page) == set()


WRONG: Final = """
## Stop
`rebalancing_hold` is there, `rebalancing_switsh` and `usdc_maximun` are not.
`GET /v1/accounts/ACCOUNT/wallets/transfers`, `GET /v1/accounts/ACCOUNT/wallets/gone`

```
make operations ARGS="cancel OPERATION --reason 'right'"
```

Form: `verb=cancel operation=OPERATION reason=TEXT`

```
make operations ARGS="cancel OPERATION"
```

Form: `verb=cancel operation=OPERATION`

```
make operations ARGS="adopt OPERATION HASH --reason 'the form says another verb'"
```

Form: `verb=cancel operation=OPERATION reference=HASH reason=TEXT`

```
make operations ARGS="resume OPERATION --reason 'no form'"
```

`make operations ARGS="list"`, `make operations ARGS="lists"`

## An operation asks for a person
### Withdrawal
- **It says:** `a status that nobody has`
- **Certain:**
### Withdrawal
- **It says:** `request … is …`

## An asset is not moved
`balanced` needs nobody.
### stale
- **Means:** old.
- **Do:** wait.
- **By itself:** yes.
### stail
- **Means:** old.
"""


def test_the_checks__on_a_page_with_one_of_each_mistake__find_just_those() -> None:
    wrong = sections(WRONG)
    missing = uncovered(wrong)
    assert missing["codes"] == {reason.value for reason in Reason} - {"balanced", "stale"}
    assert "request … is …" not in missing["asked"]
    assert {"order … is …", "withdrawal … is FAILED at Alpaca and has transaction …"} <= missing["asked"]
    assert missing["verbs"] == {verb.value for verb in Verb}
    assert missing["reasons"] == told().reasons
    assert missing["refusals"] == told().refusals
    assert invented(wrong) == {"asked": {"a status that nobody has"}, "codes": {"stail"}}
    assert "Withdrawal: Certain" in unsaid(wrong)
    assert [line for line in unsaid(wrong) if line.startswith("sta")] == ["stail: Do", "stail: By itself"]
    assert twice(WRONG) == ["withdrawal"]
    assert wrong_commands(WRONG) == [
        "cancel OPERATION",
        "adopt OPERATION HASH --reason 'the form says another verb'",
        "lists",
    ]
    assert without_form(WRONG) == ["resume OPERATION --reason 'no form'"]
    assert unknown_names(WRONG) == {"rebalancing_switsh", "usdc_maximun"}
    assert unknown_places(WRONG) == {"/wallets/gone"}
