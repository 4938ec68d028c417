"""A clock that stands still, and what is to be sent."""

from __future__ import annotations

import pytest

from hotfire.testing.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
