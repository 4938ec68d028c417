"""What people do to alarms: whom they mean, and how it reaches the alarm, whichever process owns the store."""

from __future__ import annotations

import difflib
import os
import pwd
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from hotfire.alarm.life import state_of
from hotfire.alarm.model import HOTFIRE, Action, ActionName, Alarm
from hotfire.errors import OwnedElsewhere, UserError
from hotfire.workspace.alarms import by_id, newest, open_alarms
from hotfire.workspace.rules import Rules

if TYPE_CHECKING:
    from hotfire.detect.model import Rule
    from hotfire.workspace.wiring import Workspace

WAIT_S = 5.0
"""How long the process that owns the store has for taking what is asked; it looks every quarter of a second."""
_LOOK_S = 0.2


class Meant(Struct, frozen=True):
    """The alarm that somebody means.

    Attributes:
        point: its rule, asset and channel.
        alarm_id: empty where there is no open one.
        by_point: it was not called by its id: without an open one its rule, asset and channel are meant.
    """

    stream: str
    point: tuple[str, str, str]
    alarm_id: str = ""
    by_point: bool = False


class Wish(Struct, frozen=True):
    """What is to be done to an alarm; as an `Action`."""

    what: ActionName
    who: str
    comment: str = ""
    until_ns: int | None = None


class Came(Struct, frozen=True):
    """What came of a wish.

    Attributes:
        alarm: as it is now; None where there is none yet.
        status: `pending`: the process that owns the store has not taken it yet, and will.
        why: it was refused; empty where it was not.
    """

    meant: Meant
    alarm: Alarm | None
    status: Literal["done", "refused", "pending"]
    why: str = ""

    @property
    def state(self) -> str | None:
        """The name of the alarm's state."""
        return None if self.alarm is None else state_of(self.alarm)


def person(name: str | None) -> str:
    """Who acts: by the name given, or as this user of the machine. UserError where that is no name of a person."""
    if name is None:
        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            name = str(os.getuid())
    if not name.strip() or name == HOTFIRE:
        raise UserError(f"{name!r} is not the name of a person.", "Say who you are: --by NAME")
    return name


def meant(workspace: Workspace, text: str) -> Meant:
    """The alarm that is called by the beginning of its id, by `RULE@ASSET`, or by `RULE@ASSET/CHANNEL`.

    Raises:
        UserError: there is none, or several; or no such rule, asset or channel.
    """
    if "@" not in text:
        alarm = by_id(workspace, text)
        return Meant(alarm.stream, _point(alarm), alarm.alarm_id)
    streams = workspace.settings.streams
    found = [one for stream in streams for one in _open_points(workspace, stream, text)]
    found = found or [one for stream in streams for one in _points(workspace, stream, text)]
    return _only(workspace, text, found)


def called(workspace: Workspace, text: str) -> Alarm:
    """As `meant`; where a rule, asset and channel have no open alarm, their newest. UserError where they never had one."""
    if "@" not in text:
        return by_id(workspace, text)
    streams = workspace.settings.streams
    found = [one for stream in streams for one in _open_points(workspace, stream, text)]
    known = found or [one for stream in streams for one in _points(workspace, stream, text)]
    alarms = {one: alarm for one in known if (alarm := newest(workspace, one.stream, one.point)) is not None}
    if known and not alarms:
        raise UserError(f"There never was an alarm {text}.", "Those that are over are in `hotfire alarm list --all`.")
    return alarms[_only(workspace, text, list(alarms))]


def unacknowledged(workspace: Workspace, streams: Iterable[str], rule: str, asset: str) -> list[Meant]:
    """Every alarm that waits for somebody to take note, and that nothing keeps silent.

    Args:
        rule, asset: patterns as of file names.
    """
    return [
        Meant(stream, _point(one), one.alarm_id)
        for stream in streams
        for one in sorted(open_alarms(workspace, stream), key=lambda one: one.alarm_id)
        if not one.acknowledged
        and not one.inhibited_by
        and fnmatchcase(one.rule, rule)
        and fnmatchcase(one.asset, asset)
    ]


def act(workspace: Workspace, many: Sequence[Meant], wish: Wish) -> list[Came]:
    """Have something done to alarms, and wait until it is: here where no process owns the store, or by its owner."""
    now_ns, book = workspace.clock.now_ns(), workspace.store.alarms
    asked: dict[str, Meant] = {secrets.token_hex(8): one for one in many}
    by_stream: dict[str, list[tuple[Action, tuple[str, ...]]]] = {}
    for action_id, one in asked.items():
        action = Action(action_id, one.alarm_id, wish.what, wish.who, wish.comment, now_ns, wish.until_ns)
        by_stream.setdefault(one.stream, []).append((action, one.point if one.by_point else ()))
    for stream, actions in by_stream.items():
        book.ask(stream, actions)
    answers = _answers(workspace, list(asked), list(by_stream))
    known = book.known({one.alarm_id for one in many if one.alarm_id})
    return [_came(workspace, one, known.get(one.alarm_id), *answers[action_id]) for action_id, one in asked.items()]


def _answers(workspace: Workspace, action_ids: Sequence[str], streams: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """By action, its state and why it was refused, once all are settled or time is up."""
    deadline_ns = workspace.clock.now_ns() + int(WAIT_S * 1e9)
    while True:
        take(workspace, streams)
        found = workspace.store.alarms.answers(action_ids)
        settled = all(state != "pending" for state, _ in found.values())
        if settled or workspace.clock.now_ns() >= deadline_ns:
            return found
        workspace.clock.sleep(_LOOK_S)


def take(workspace: Workspace, streams: Iterable[str]) -> int | None:
    """Do what is asked of the alarms of some streams; how much there was. None: another process owns the store, and does it."""
    try:
        workspace.store.own()
    except OwnedElsewhere:
        return None
    return sum(workspace.store.act(stream) for stream in streams)


def _came(workspace: Workspace, one: Meant, alarm: Alarm | None, state: str, refusal: str) -> Came:
    if state == "pending":
        return Came(one, alarm, "pending")
    found = alarm or newest(workspace, one.stream, one.point)
    return Came(one, found, "refused" if state == "refused" else "done", refusal)


def _only(workspace: Workspace, text: str, found: Sequence[Meant]) -> Meant:
    """The one that is meant. UserError where it is none, or several."""
    if len(found) > 1:
        names = ", ".join(sorted({f"{one.point[0]}@{one.point[1]}/{one.point[2]}" for one in found}))
        raise UserError(f"{text} may be several: {names}.", "Name the channel, or the alarm by its id.")
    if not found:
        raise _unknown(workspace, text)
    return found[0]


def _point(alarm: Alarm) -> tuple[str, str, str]:
    return alarm.rule, alarm.asset, alarm.channel


def _open_points(workspace: Workspace, stream: str, text: str) -> Iterator[Meant]:
    """The open alarms of a stream that are called so, the newest of each channel."""
    rule, _, rest = text.partition("@")
    found: dict[tuple[str, str, str], Alarm] = {}
    for one in sorted(open_alarms(workspace, stream), key=lambda one: one.raised_at_ns or one.opened_at_ns):
        if one.rule == rule and rest in (one.asset, f"{one.asset}/{one.channel}"):
            found[_point(one)] = one
    for point, one in found.items():
        yield Meant(stream, point, one.alarm_id, by_point=True)


def _points(workspace: Workspace, stream: str, text: str) -> Iterator[Meant]:
    """The rules, assets and channels of a stream that are called so."""
    name, _, rest = text.partition("@")
    rule = _rules(workspace, stream).get(name)
    if rule is None:
        return
    for asset in _assets(workspace, stream):
        for channel in rule.channels or ("",):
            if rest in (asset, f"{asset}/{channel}"):
                yield Meant(stream, (name, asset, channel), by_point=True)


def _rules(workspace: Workspace, stream: str) -> Mapping[str, Rule]:
    """The rules of a stream that were entered last, by name."""
    contract = workspace.contract_in_use(stream)
    if contract.kind != "telemetry":
        return {}
    editions = Rules(workspace.settings.folder, contract, workspace.store).last().editions
    return {one.rule.name: one.rule for one in editions[-1].detectors}


def _assets(workspace: Workspace, stream: str) -> list[str]:
    """Every asset that ever sent a row to a stream."""
    return [str(one) for one in workspace.store.assets(workspace.contract_in_use(stream))["asset"]]


def _unknown(workspace: Workspace, text: str) -> UserError:
    """What is wrong with a name that nothing has: its rule, or its asset."""
    name, _, rest = text.partition("@")
    rules, assets = set[str](), set[str]()
    for stream in workspace.settings.streams:
        own = _rules(workspace, stream)
        rules |= own.keys()
        assets |= set(_assets(workspace, stream)) if name in own else set()
    if name not in rules:
        return UserError(f"There is no rule {name!r}.", _near(name, rules))
    asset = rest if rest in assets else rest.rpartition("/")[0]
    if asset in assets:
        return UserError(f"The rule {name} does not watch a channel {rest.removeprefix(f'{asset}/')!r}.")
    return UserError(f"No rows of an asset {rest!r} have come.", _near(rest, assets))


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known)[:12]) or 'none'}."
