"""Who is told of alarms in a workspace, and by which means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from hotfire.alarm.notices import Maintenance, Route, Routing

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.protocols import Notifier
    from hotfire.workspace.model import NotifySettings, Settings

Made: TypeAlias = "Callable[[NotifySettings, Clock, Any], Notifier]"


def routing(settings: Settings) -> Routing:
    """What decides who is told."""
    routes = tuple(
        Route(one.name, one.min_severity, one.streams, one.assets, one.rules, one.events)
        for one in settings.notify.values()
    )
    windows = tuple(
        Maintenance(one.since_ns, one.until_ns, one.streams, one.assets, one.reason) for one in settings.maintenance
    )
    return Routing(settings.name, routes, windows)


def notifiers(settings: Settings, clock: Clock, log: Any) -> dict[str, Notifier]:
    """Every target of the workspace, by name.

    Args:
        log: a structlog logger, for the targets of kind `log`.

    Raises:
        UserError: one of them can never be told anything: a url that is none, a library that is not installed.
    """
    return {name: notifier(one, clock, log) for name, one in settings.notify.items()}


def notifier(one: NotifySettings, clock: Clock, log: Any) -> Notifier:
    """One target; as `notifiers`."""
    return NOTIFIERS[one.kind](one, clock, log)


def _webhook(one: NotifySettings, clock: Clock, log: Any) -> Notifier:
    from hotfire.notify.webhook import Webhook

    del log
    assert one.url is not None
    return Webhook(one.name, one.url.reveal(), clock, one.secret.reveal() if one.secret else "")


def _apprise(one: NotifySettings, clock: Clock, log: Any) -> Notifier:
    from hotfire.notify.apprise import AppriseNotifier

    del clock, log
    assert one.url is not None
    return AppriseNotifier(one.name, one.url.reveal())


def _log(one: NotifySettings, clock: Clock, log: Any) -> Notifier:
    from hotfire.notify.log import LogNotifier

    del one, clock
    return LogNotifier(log)


NOTIFIERS: Mapping[str, Made] = {"webhook": _webhook, "apprise": _apprise, "log": _log}
"""How a target of each kind is made."""
