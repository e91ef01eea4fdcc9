"""What the page reads comes back the same from PostgreSQL."""

# ruff: noqa: F403 - the tests themselves are what is imported

from __future__ import annotations

import pytest

from tests.unit.overview.test_history import *
from tests.unit.overview.test_reader import *

pytestmark = pytest.mark.integration
