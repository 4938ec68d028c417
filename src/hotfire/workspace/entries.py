"""The settings that are lists of tables: how their entries are named, and what each of them must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hotfire.contract.model import STREAM_NAMES, is_stream_name
from hotfire.errors import SettingsError
from hotfire.source.rest.settings import RestSettings
from hotfire.workspace.keys import ARRAYS
from hotfire.workspace.model import MaintenanceSettings, NotifySettings

_TAKES: Mapping[str, tuple[str, ...]] = {"webhook": ("url", "secret"), "apprise": ("url",), "log": ()}
"""What a kind of target is told with; all but the signature must be there."""


def by_name(array: str, value: Any, where: str) -> dict[str, Any]:
    """The entries of a list of tables, by what names them. SettingsError where one has no name of its own."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise SettingsError(f"{where}: {array} is not a list of tables.", f"Write [[{array}]] above each of them.")
    key, entries = ARRAYS[array], dict[str, Any]()
    for number, entry in enumerate(value, 1):
        name = entry.get(key) if key else str(number)
        if not isinstance(name, str):
            raise SettingsError(f"{where}: entry {number} of {array} has no {key}.", f'Write {key} = "...".')
        if name in entries:
            raise SettingsError(f"{where}: {array} has two entries {name!r}.", "Give one of them another name.")
        entries[name] = {field: one for field, one in entry.items() if field != key}
    return entries


def target(name: str, table: Mapping[str, Any], where: str) -> NotifySettings:
    """One `[[notify]]`. SettingsError where its kind needs more, or does not take what is there."""
    if not is_stream_name(name):
        raise SettingsError(f"{where}: {name!r} cannot be the name of a notify.", f"As for streams: {STREAM_NAMES}.")
    kind = table.get("kind")
    if kind is None:
        raise SettingsError(f"{where}: notify.{name} has no kind.", f"Known: {', '.join(_TAKES)}.")
    for field in ("url", "secret"):
        if field in table and field not in _TAKES[kind]:
            raise SettingsError(f"{where}: notify.{name} is of kind {kind}, which takes no {field}.", "Leave it out.")
    if "url" in _TAKES[kind] and "url" not in table:
        raise SettingsError(f"{where}: notify.{name} has no url.", 'Best as a reference: url = "${NAME}".')
    if kind == "webhook" and not table["url"].reveal().startswith(("https://", "http://")):
        raise SettingsError(f"{where}: notify.{name}.url is no address of a webhook.", "It begins with https://")
    return NotifySettings(name, **table)


def window(number: str, table: Mapping[str, Any], where: str) -> MaintenanceSettings:
    """One `[[maintenance]]`. SettingsError where it has no beginning, no end, or none of its time."""
    if not number.isdecimal():
        raise SettingsError(f"{where}: maintenance.{number} is none.", "Windows have numbers, from 1.")
    for field in ("since", "until"):
        if field not in table:
            raise SettingsError(f"{where}: maintenance.{number} has no {field}.", f"{field} = 2026-01-01T00:00:00Z")
    found = MaintenanceSettings(**table)
    if found.since_ns >= found.until_ns:
        raise SettingsError(f"{where}: maintenance.{number} ends before it begins.", "Look at since and until.")
    return found


def web_api(stream: str, kind: str | None, asked: Mapping[str, Any]) -> RestSettings | None:
    """What is asked of a web API, None where a stream is of another kind. SettingsError where that does not fit together."""
    above = f"streams.{stream}.source"
    if kind != "rest":
        if asked:
            raise SettingsError(f"{above}.{min(asked)} is for web APIs.", f'Set {above}.kind = "rest".')
        return None
    needed = ["base_url", "list", *(["since"] if {"latest", "query"} & asked.keys() else [])]
    for missing in (one for one in needed if one not in asked):
        raise SettingsError(f"{above} is of kind rest and has no {missing}.", f"Set {above}.{missing}.")
    return RestSettings(**asked)
