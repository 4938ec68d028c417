"""Notices as log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotfire.notify.words import told

if TYPE_CHECKING:
    from hotfire.alarm.notices import Notice


class LogNotifier:
    """Writes each notice as one line, `alarm`, with every field of it. Implements `protocols.Notifier`.

    Args:
        log: a structlog logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log

    def send(self, notice: Notice) -> None:
        """See `protocols.Notifier`."""
        self._log.warning("alarm", notice=notice.key, target=notice.target, what=notice.what, **told(notice))

    def close(self) -> None:
        """Nothing is held."""
