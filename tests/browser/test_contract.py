"""The answers that the page is tested with are such as the API describes."""

from __future__ import annotations

import pytest

from include.overview import models
from tests.browser import canned

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", ["overview", "nothing_yet", "calm", "thousand"])
def test_overview__as_made_up__fits_the_model(name: str) -> None:
    answer = getattr(canned, name)()
    assert models.Overview.model_validate(answer).as_of == canned.NOW


def test_others__as_made_up__fit_their_models() -> None:
    assert models.History.model_validate(canned.history("AAPL", 24)).asset == "AAPL"
    assert len(models.Operations.model_validate(canned.page_of_past(None, 30)).operations) == 30
    for operation_id in (canned.STUCK["id"], canned.past(0)["id"]):
        assert models.Operation.model_validate(canned.everything(operation_id)).id == operation_id
