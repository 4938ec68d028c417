"""Outboxes, each held to the one suite."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hotfire.alarm.notices import Notice
from hotfire.protocols import Outbox
from hotfire.testing.outbox import ListOutbox
from hotfire.testing.outbox_suite import OutboxSuite


class TestListOutbox(OutboxSuite):
    """In memory."""

    @pytest.fixture
    def outbox(self) -> ListOutbox:
        return ListOutbox()

    def put(self, outbox: Outbox, notices: Sequence[Notice]) -> None:
        """As a commit does."""
        assert isinstance(outbox, ListOutbox)
        outbox.put(notices)
