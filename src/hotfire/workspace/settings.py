"""The settings of a workspace: command line over environment over hotfire.toml over default. Nothing else reads them."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hotfire.contract.model import STREAM_NAMES, is_stream_name
from hotfire.errors import SettingsError, UserError
from hotfire.workspace.entries import by_name, target, web_api, window
from hotfire.workspace.keys import ARRAYS, CHOICES, KEYS, REST
from hotfire.workspace.kinds import SAID, TEXTS, fitting
from hotfire.workspace.model import (
    AlarmSettings,
    ClockSettings,
    EngineSettings,
    HttpSettings,
    Key,
    LakeSettings,
    Settings,
    SourceSettings,
    StoreSettings,
    StreamSettings,
)
from hotfire.workspace.values import Resolved, Secret

_T = TypeVar("_T")

FILE = "hotfire.toml"
"""A folder with this file in it is a workspace."""


def find(start: Path) -> Path:
    """The workspace that `start` lies in: the nearest folder upwards with a hotfire.toml. UserError if none."""
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise UserError(f"{start} is not in a workspace: no {FILE} here or above.", "Make one: hotfire init DIR")


def current(overrides: Mapping[str, Any] | None = None, start: Path | None = None) -> Settings:
    """The settings of the workspace around `start` (the working folder if None), in this process's environment."""
    return load(find(start or Path.cwd()), os.environ, overrides or {})


def exactly(folder: Path) -> Settings:
    """The settings of this folder, whatever is around it, in this process's environment."""
    return load(folder, os.environ, {})


def load(folder: Path, environment: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """Read the settings of one workspace.

    Args:
        folder: the workspace.
        environment: its `HOTFIRE_...` names are settings: `HOTFIRE_STORE__URL`. Values that are not text are written
            as in TOML. Also where `${NAME}` references are resolved.
        overrides: of the command line, by dotted key: `{"streams.events.source.path": ["a.jsonl"]}`.

    Raises:
        UserError: the folder is no workspace.
        SettingsError: a setting is unknown or has a wrong value; names where it was given, and what was meant.
    """
    folder = folder.absolute()
    if not (folder / FILE).is_file():
        raise UserError(f"{folder} is not a workspace: it has no {FILE}.", f"Make one: hotfire init {folder}")
    in_file = _file_layer(folder / FILE)
    names = {*_contract_folders(folder), *_named_streams(in_file)}
    given = {**in_file, **_environment_layer(environment, names), **_override_layer(overrides)}
    values = {key: value for key, one in given.items() if (value := _value(key, one, environment)) != {}}
    names |= {key[1] for key in given if key[0] == "streams" and len(key) > 1}
    return Settings(
        folder=folder,
        name=values.get(("workspace", "name"), folder.name),
        store=StoreSettings(**_table(values, "store")),
        lake=LakeSettings(**_table(values, "lake")),
        engine=EngineSettings(**_table(values, "engine")),
        http=HttpSettings(**_table(values, "http")),
        alarms=AlarmSettings(**_table(values, "alarms")),
        streams={name: _stream(name, values, given) for name in sorted(names)},
        notify=_entries("notify", target, values, given),
        maintenance=tuple(_entries("maintenance", window, values, given).values()),
    )


class _Given(NamedTuple):
    """A value and what people call the place it was given."""

    value: Any
    where: str


def _file_layer(path: Path) -> dict[Key, _Given]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}", "Texts stand in quotes, tables in [brackets].") from None
    content = {name: by_name(name, one, str(path)) if name in ARRAYS else one for name, one in content.items()}
    return {key: _Given(value, str(path)) for key, value in _flat(content)}


def _flat(content: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Leaves by their keys; an empty table is a leaf, so that it is seen."""
    for name, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, (*above, name))
        else:
            yield (*above, name), value


def _override_layer(overrides: Mapping[str, Any]) -> dict[Key, _Given]:
    return {tuple(key.split(".")): _Given(value, "the command line") for key, value in overrides.items()}


def _environment_layer(environment: Mapping[str, str], streams: Iterable[str]) -> dict[Key, _Given]:
    layer: dict[Key, _Given] = {}
    tables = {key[0] for key in KEYS}
    for variable in sorted(environment):
        parts = variable.removeprefix("HOTFIRE_").lower().split("__")
        if not variable.startswith("HOTFIRE_") or (len(parts) == 1 and parts[0].split("_")[0] not in tables):
            continue
        if parts[0] == "streams" and len(parts) > 2:
            _known_stream(variable, parts[1], streams)
        if len(parts) == 1:
            meant = variable.removeprefix("HOTFIRE_").replace("_", "__", 1)
            raise SettingsError(f"{variable} is no setting.", f"Two underscores divide names, as in HOTFIRE_{meant}.")
        key, where = tuple(parts), f"the environment variable {variable}"
        for name, value in _flat({"": _parsed(key, environment[variable], where)}):
            layer[(*key, *name[1:])] = _Given(value, where)
    return layer


def _known_stream(variable: str, name: str, streams: Iterable[str]) -> None:
    if name not in streams:
        raise SettingsError(f"{variable}: there is no stream {name!r}.", _suggest(name, sorted(streams)))


def _parsed(key: Key, text: str, where: str) -> Any:
    """What a variable's text means: text for settings that are text, TOML for everything else."""
    kind = _kind(key)
    if kind in TEXTS or (kind in {"texts", "secrets"} and not text.startswith("[")):
        return text
    try:
        return tomllib.loads(f"value = {text.lower() if kind == 'flag' else text}")["value"]
    except tomllib.TOMLDecodeError:
        if kind is None:
            return text  # judged with the other unknown keys
        raise SettingsError(f"{where}: {text!r} is not {SAID[kind]}.", "Write it as in TOML.") from None


def _kind(key: Key) -> str | None:
    return _of(KEYS, key)


def _of(table: Mapping[Key, _T], key: Key) -> _T | None:
    """What a table says of a key, its own keys having `*` for any name."""
    for known, value in table.items():
        if len(known) == len(key) and all(a in {"*", b} for a, b in zip(known, key, strict=True)):
            return value
    return None


def _below(key: Key) -> dict[str, str]:
    """The names that may follow a key, `*` included."""
    size = len(key)
    return {
        known[size]: kind
        for known, kind in KEYS.items()
        if len(known) > size and all(a in {"*", b} for a, b in zip(known[:size], key, strict=True))
    }


def _value(key: Key, given: _Given, environment: Mapping[str, str]) -> Any:
    """The value of one setting in its final form, or the error that says what is wrong with it."""
    kind, name = _kind(key), ".".join(key)
    if kind is None and _below(key) and given.value == {}:
        return {}
    if kind is None and not _below(key):
        raise _unknown(key, given.where)
    value = fitting(kind, given.value)
    if value is None:
        raise SettingsError(f"{given.where}: {name} is {given.value!r}, not {SAID[kind]}.")
    if isinstance(value, str | tuple):
        texts = [_text(key, one, given.where, environment) for one in ([value] if isinstance(value, str) else value)]
        return texts[0] if isinstance(value, str) else tuple(texts)
    return value


def _text(key: Key, written: str, where: str, environment: Mapping[str, str]) -> str | Secret:
    """One text of a setting, with its references resolved; a secret where the setting is one."""
    kind, name, choices = _kind(key), ".".join(key), _of(CHOICES, key)
    text = _resolved(written, name, where, environment)
    if choices and text not in choices:
        raise SettingsError(f"{where}: {name} is {text!r}.", _suggest(text, choices))
    if kind == "hidden":
        return Secret(text, written if "${" in written else "***")
    return Secret(text, written) if kind in {"secret", "secrets"} else text


def _unknown(key: Key, where: str) -> SettingsError:
    size = max(size for size in range(len(key)) if _below(key[:size]))
    if _kind(key[: size + 1]):
        return SettingsError(f"{where}: {'.'.join(key[: size + 1])} is no table.")
    table = ".".join(key[:size])
    what = f"{where}: there is no setting {'.'.join(key[: size + 1])!r}."
    return SettingsError(what, _suggest(key[size], _below(key[:size]), f"{table}." if table else ""))


def _suggest(name: str, known: Iterable[str], prefix: str = "") -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {prefix}{near[0]}?" if near else f"Known: {', '.join(names) or 'none'}."


def _resolved(text: str, name: str, where: str, environment: Mapping[str, str]) -> str:
    """The text with the environment's value for every `${NAME}` in it."""

    def value(reference: re.Match[str]) -> str:
        if reference[1] not in environment:
            raise SettingsError(
                f"{where}: {name} refers to {reference[0]}, which is not set.", f"export {reference[1]}="
            )
        return environment[reference[1]]

    found = re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value, text)
    return text if found == text else Resolved(found, text)


def _table(values: Mapping[Key, Any], *above: str) -> dict[str, Any]:
    """The settings directly below a table, by their last name."""
    return {key[-1]: value for key, value in values.items() if key[:-1] == above}


def _stream(name: str, values: Mapping[Key, Any], given: Mapping[Key, _Given]) -> StreamSettings:
    above = ("streams", name, "source")
    clock = _table(values, *above, "clock")
    for missing in {"column", "start"} - clock.keys() if clock else ():
        where = next(one.where for key, one in given.items() if key[:4] == (*above, "clock"))
        raise SettingsError(f"{where}: streams.{name}.source.clock has no {missing}.")
    own = _table(values, *above)
    asked = {one: own.pop(one) for one in REST & own.keys()}
    source = SourceSettings(
        **own,
        rest=web_api(name, own.get("kind"), asked),
        clock=ClockSettings(**clock) if clock else None,
        derive=_table(values, *above, "derive"),
    )
    assets = _table(values, *above[:2], "assets")
    return StreamSettings(name, source=source, assets=assets, **_table(values, "streams", name))


def _entries(
    array: str, made: Callable[[str, dict[str, Any], str], _T], values: Mapping[Key, Any], given: Mapping[Key, _Given]
) -> dict[str, _T]:
    """The entries of a list of tables, as each is made, by name; in the order in which they were given."""
    places = dict[str, str]()
    for key, one in given.items():
        if key[0] == array and len(key) > 1:
            places.setdefault(key[1], one.where)
    return {name: made(name, _table(values, array, name), where) for name, where in places.items()}


def _contract_folders(folder: Path) -> list[str]:
    contracts = folder / "contracts"
    if not contracts.is_dir():
        return []
    found = [one for one in contracts.iterdir() if one.is_dir() and not one.name.startswith(".")]
    return [_stream_name(one.name, f"the folder {one}") for one in found]


def _named_streams(given: Mapping[Key, _Given]) -> list[str]:
    streams = {key[1]: one.where for key, one in given.items() if key[0] == "streams" and len(key) > 1}
    return [_stream_name(name, where) for name, where in streams.items()]


def _stream_name(name: str, where: str) -> str:
    if not is_stream_name(name):
        raise SettingsError(f"{where}: {name!r} cannot be a stream's name.", f"Rename it: {STREAM_NAMES}.")
    return name
