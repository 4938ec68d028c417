"""Settings: four layers, every key checked, nothing secret shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotfire.errors import SettingsError, UserError
from hotfire.workspace.keys import ARRAYS, CHOICES, KEYS, REST
from hotfire.workspace.model import Key
from hotfire.workspace.settings import current, find, load
from hotfire.workspace.values import Secret

STREAM = "engine_runs"
WRITTEN = {  # a value of each kind: as TOML, as an environment variable, as the command line has it
    "text": ('"ab"', "ab", "ab"),
    "duration": ('"5 min"', "5 min", "5 min"),
    "secrets": ('["a", "b"]', '["a", "b"]', ["a", "b"]),
    "secret": ('"ab"', "ab", "ab"),
    "hidden": ('"http://ab"', "http://ab", "http://ab"),
    "texts": ('["a", "b"]', '["a", "b"]', ["a", "b"]),
    "size": ('"5 MiB"', "5 MiB", "5 MiB"),
    "flag": ("true", "TRUE", True),
    "count": ("7", "7", 7),
    "rate": ("2.5", "2.5", 2.5),
    "sign": ('"|"', "|", "|"),
    "pattern": ('"(?P<a>.)"', "(?P<a>.)", "(?P<a>.)"),
    "instant": ("2026-01-01T00:00:00+00:00", "2026-01-01 00:00:00+00:00", "2026-01-01 00:00:00+00:00"),
}
SOURCE = f"streams.{STREAM}.source"
AROUND = {  # what has to be there beside a setting, by the table it stands in
    "clock": {f"streams.{STREAM}.source.clock.column": "n", f"streams.{STREAM}.source.clock.start": "2020-01-01T00Z"},
    "rest": {f"{SOURCE}.kind": "rest", **{f"{SOURCE}.{name}": "/ab/c" for name in ("base_url", "list", "since")}},
    "notify": {"notify.ops.kind": "webhook", "notify.ops.url": "https://x"},
    "maintenance": {"maintenance.1.since": "2020-01-01T00Z", "maintenance.1.until": "2027-01-01T00Z"},
}
NAMED = {"notify": "ops", "maintenance": "1"}


@pytest.fixture
def ws(tmp_path: Path) -> Path:
    (tmp_path / "contracts" / STREAM).mkdir(parents=True)
    (tmp_path / "hotfire.toml").touch()
    return tmp_path


def written(ws: Path, text: str) -> Path:
    (ws / "hotfire.toml").write_text(text, encoding="utf-8")
    return ws


def concrete(key: Key) -> Key:
    names = iter((NAMED.get(key[0], STREAM), "field"))
    return tuple(next(names) if name == "*" else name for name in key)


def forms(key: Key, kind: str) -> tuple[str, str, Any]:
    if key not in CHOICES:
        return WRITTEN[kind]
    choice = CHOICES[key][0 if key[-2:] == ("source", "kind") else -1]
    return f'"{choice}"', choice, choice


def around_of(key: Key) -> dict[str, Any]:
    table = "clock" if "clock" in key else "rest" if key[0] == "streams" and key[-1] in REST else key[0]
    return {} if key == ("notify", "*", "kind") else AROUND.get(table, {})


def in_file(path: Key, toml: str) -> str:
    if path[0] not in ARRAYS:
        return f"{'.'.join(path)} = {toml}"
    name = f'name = "{path[1]}"\n' if ARRAYS[path[0]] else ""
    return f"[[{path[0]}]]\n{name}{'.'.join(path[2:])} = {toml}"


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_every_setting_can_be_given_in_every_layer(ws: Path, key: Key) -> None:
    """File, environment and command line mean the same by the same key, whichever key it is."""
    toml, variable, value = forms(key, KEYS[key])
    path = concrete(key)
    around = around_of(key)
    plain = load(ws, {}, around)
    by_line = load(ws, {}, {**around, ".".join(path): value})
    others = {name: one for name, one in around.items() if name != ".".join(path)}
    by_variable = load(ws, {f"HOTFIRE_{'__'.join(path).upper()}": variable}, others)
    by_file = load(written(ws, in_file(path, toml)), {}, others)
    assert by_line == by_variable == by_file
    assert by_line != plain or key == ("streams", "*", "source", "kind")


@given(layers=st.dictionaries(st.sampled_from(["file", "environment", "line"]), st.integers(1, 10**9)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_command_line_wins_over_the_environment_over_the_file(ws: Path, layers: dict[str, int]) -> None:
    """Of the layers that give a value, the nearest to the person counts; without any, the default."""
    written(ws, f"engine.batch_rows = {layers['file']}" if "file" in layers else "")
    environment = {"HOTFIRE_ENGINE__BATCH_ROWS": str(layers["environment"])} if "environment" in layers else {}
    overrides = {"engine.batch_rows": layers["line"]} if "line" in layers else {}
    nearest = [layers[name] for name in ("line", "environment", "file") if name in layers]
    assert load(ws, environment, overrides).engine.batch_rows == [*nearest, 100_000][0]


def test_layers_mix_inside_a_table(ws: Path) -> None:
    """A variable that sets one key of a table leaves the file's other keys alone."""
    written(ws, f'[streams.{STREAM}.source]\npath = "a.csv"\ndelimiter = ";"\n')
    source = load(ws, {"HOTFIRE_STREAMS__ENGINE_RUNS__SOURCE__DELIMITER": ","}, {}).streams[STREAM].source
    assert (source.path, source.delimiter) == (("a.csv",), ",")


def test_a_whole_table_can_be_one_variable(ws: Path) -> None:
    """A variable may hold a table, written as in TOML."""
    value = '{column = "cycle", start = "2020-01-01T01:00:00+01:00", rate_hz = 5}'
    clock = load(ws, {"HOTFIRE_STREAMS__ENGINE_RUNS__SOURCE__CLOCK": value}, {}).streams[STREAM].source.clock
    assert clock is not None
    assert (clock.column, clock.start_ns, clock.rate_hz) == ("cycle", 1_577_836_800_000_000_000, 5.0)


MISTAKES: list[tuple[str, Mapping[str, str], Mapping[str, Any], str, str]] = [
    ("[stroe]\nurl = 'x'", {}, {}, "hotfire.toml: there is no setting 'stroe'", "Did you mean store?"),
    ("[foo]", {}, {}, "'foo'", "Known: workspace, store, lake, engine, http, alarms, streams, notify, maintenance."),
    ("store = 'x'", {}, {}, "store is 'x', not a table", ""),
    ("[store.url]\nx = 1", {}, {}, "store.url is no table", ""),
    ("[engine]\nbatch_rows = '5'", {}, {}, "engine.batch_rows is '5', not a whole number above 0", ""),
    ("[engine]\nbatch_rows = true", {}, {}, "engine.batch_rows is True", ""),
    ("[engine]\nbatch_bytes = 0", {}, {}, "engine.batch_bytes is 0", ""),
    ("[streams.a]\nlake_only = 1", {}, {}, "streams.a.lake_only is 1, not true or false", ""),
    ("[streams.a.source]\nformt = 'csv'", {}, {}, "'streams.a.source.formt'", "streams.a.source.format?"),
    ("[streams.a.source]\nformat = 'csvv'", {}, {}, "streams.a.source.format is 'csvv'", "Did you mean csv?"),
    ("[streams.a.source]\ndelimiter = ';;'", {}, {}, "delimiter is ';;', not one character", ""),
    ("[streams.a.source]\ndelimiter = 'x'", {}, {}, "delimiter is 'x', not one character", ""),
    ("[streams.a.source]\nname_pattern = '('", {}, {}, "name_pattern is '(', not a regular expression", ""),
    ("[streams.a.source]\npath = ['a', 1]", {}, {}, "not a text or a list of texts", ""),
    ("[streams.a.source.clock]\ncolumn = 'n'", {}, {}, "clock has no start", ""),
    ("[streams.a.source.clock]\nstart = 2020-01-01T00:00:00\ncolumn = 'n'", {}, {}, "with a zone", ""),
    ("[streams.a.source.clock]\nrate_hz = inf\n", {}, {}, "not a number above 0", ""),
    ("[streams.a.source.derive]\nx = 5\n", {}, {}, "derive.x is 5, not a text", ""),
    ("x", {}, {}, "not TOML", "quotes"),
    ("", {"HOTFIRE_STORE_URL": "x"}, {}, "HOTFIRE_STORE_URL is no setting", "HOTFIRE_STORE__URL"),
    ("", {"HOTFIRE_STROE__URL": "x"}, {}, "HOTFIRE_STROE__URL: there is no setting", "Did you mean store?"),
    ("", {"HOTFIRE_STREAMS__ENGINE_RUN__LAKE_ONLY": "true"}, {}, "no stream 'engine_run'", "engine_runs?"),
    ("", {"HOTFIRE_ENGINE__BATCH_ROWS": "many"}, {}, "'many' is not a whole number above 0", "TOML"),
    ("", {"HOTFIRE_STREAMS": "x"}, {}, "HOTFIRE_STREAMS is no setting", ""),
    ("", {}, {"engine.batch": 5}, "the command line: there is no setting 'engine.batch'", "engine.batch_rows?"),
    ("[store]\nurl = 'postgresql://${NIX}@h/d'", {}, {}, "store.url refers to ${NIX}, which is not set", "export NIX="),
]


@pytest.mark.parametrize(("toml", "environment", "overrides", "what", "do"), MISTAKES, ids=[one[3] for one in MISTAKES])
def test_a_mistake_is_named_with_its_place_and_remedy(
    ws: Path, toml: str, environment: Mapping[str, str], overrides: Mapping[str, Any], what: str, do: str
) -> None:
    """An unknown key or a wrong type says where it was given, which key it is, and what was meant."""
    with pytest.raises(SettingsError) as caught:
        load(written(ws, toml), environment, overrides)
    assert what in caught.value.what
    assert do in caught.value.do
    assert caught.value.exit_code == 2


def test_variables_of_others_are_left_alone(ws: Path) -> None:
    """Names that no setting begins with are not ours to judge."""
    environment = {"HOTFIRE_TEST_POSTGRES": "x", "HOTFIRE_CRASHES": "5", "HOTFIRE_": "", "PATH": "/bin"}
    assert load(ws, environment, {}) == load(ws, {}, {})


def test_variables_name_streams_in_capitals(ws: Path) -> None:
    """A variable's name is in capitals; the stream's is not."""
    assert load(ws, {"HOTFIRE_STREAMS__ENGINE_RUNS__LAKE_ONLY": "true"}, {}).streams[STREAM].lake_only


@pytest.mark.parametrize("name", ["../x", "a b", "Boxes", "hf_x", "sqlite_x", "1a", "", "é", "a" * 61, "a\x1b[31m"])
def test_names_that_no_stream_can_have(ws: Path, name: str) -> None:
    """A stream's name is that of folders, files and tables: what cannot be one is refused with the file and the rule."""
    written(ws, f"[streams.{json.dumps(name)}]\nlake_only = true\n")
    with pytest.raises(SettingsError) as caught:
        load(ws, {}, {})
    assert caught.value.what == f"{ws / 'hotfire.toml'}: {name!r} cannot be a stream's name."
    assert "a-z, 0-9 and _" in caught.value.do
    written(ws, "")
    if name and "/" not in name:
        (ws / "contracts" / name).mkdir()
        with pytest.raises(SettingsError, match="cannot be a stream's name") as caught:
            load(ws, {}, {})
        assert str(ws / "contracts" / name) in caught.value.what


def test_streams_are_the_folders_of_contracts_and_those_of_the_file(ws: Path) -> None:
    """A contract's folder is a stream without being named in hotfire.toml; hidden folders and files are not."""
    (ws / "contracts" / ".git").mkdir()
    (ws / "contracts" / "README.md").touch()
    found = load(written(ws, "[streams.other]\nlake_only = true\n"), {}, {})
    assert list(found.streams) == [STREAM, "other"]
    assert found.stream(STREAM).source.kind == "files"
    with pytest.raises(UserError, match="no stream 'nix'"):
        found.stream("nix")


def test_secrets_are_resolved_and_never_shown(ws: Path) -> None:
    """References take the environment's value where it is used, and stay references wherever it is printed."""
    written(ws, f'[store]\nurl = "postgresql://me:${{PW}}@host/db"\n[streams.{STREAM}.source]\npath = "${{PW}}/x.csv"')
    found = load(ws, {"PW": "geheim"}, {})
    assert found.store.url.reveal() == "postgresql://me:geheim@host/db"
    assert found.streams[STREAM].source.path[0] == "geheim/x.csv"
    shown = f"{found} {found.store.url} {found.store.url!r} {found.streams[STREAM].source!r}"
    assert "geheim" not in shown
    assert "postgresql://me:${PW}@host/db" in shown


def test_a_password_written_out_is_masked() -> None:
    """Even a password that stands in the file itself is not shown."""
    assert str(Secret("postgresql://me:geheim@host/db")) == "postgresql://me:***@host/db"
    assert str(Secret("sqlite:///data/hotfire.db")) == "sqlite:///data/hotfire.db"


def test_paths_are_taken_from_the_workspace(ws: Path) -> None:
    """Relative paths belong to the workspace, whatever the working folder; URLs and standard input stay as they are."""
    found = load(ws, {}, {})
    assert found.database == ws / "data" / "hotfire.db"
    assert found.lake_url == str(ws / "data" / "lake")
    assert [found.absolute(path) for path in ("-", "s3://b/k", "/abs", "in/*.csv")] == [
        "-",
        "s3://b/k",
        "/abs",
        f"{ws}/in/*.csv",
    ]
    elsewhere = load(ws, {"HOTFIRE_STORE__URL": "sqlite:////abs/x.db"}, {})
    assert elsewhere.database == Path("/abs/x.db")
    assert load(ws, {"HOTFIRE_STORE__URL": "postgresql://h/d"}, {}).database is None


def test_a_workspace_is_found_from_the_folders_in_it(ws: Path) -> None:
    """The nearest folder upwards with a hotfire.toml is the workspace."""
    deep = ws / "contracts" / STREAM
    assert find(deep) == ws
    assert current({"workspace.name": "x"}, deep).name == "x"
    assert load(ws, {}, {}).name == ws.name


def test_outside_of_a_workspace_the_way_in_is_named(tmp_path: Path) -> None:
    """Where there is no workspace, the message says how to make one."""
    for refused in (lambda: find(tmp_path), lambda: load(tmp_path, {}, {})):
        with pytest.raises(UserError) as caught:
            refused()
        assert "hotfire init" in caught.value.do
