"""One reading statement over store, lake and marts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from msgspec.structs import replace

from hotfire.errors import HotfireError, LakeUnusable, Refused, UserError
from hotfire.lake.delta import DeltaLake
from hotfire.sql.duck import Result, query
from hotfire.sql.records import records
from hotfire.sql.units import header
from hotfire.sql.views import Tables
from hotfire.testing.lake_suite import READINGS, batch

LEDGER = pl.DataFrame({"stream": ["readings"], "committed_at_ns": [5]})


class Stand:
    """A store with `readings` and `hf_ledger`, a lake of the same readings, and marts; notes what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = DeltaLake(folder / "it's a lake", "a")
        self.asked: list[tuple[str, frozenset[str] | None]] = []
        self.rows = {"readings": batch(2, rows=5), "hf_ledger": LEDGER}

    def table(self, name: str, columns: frozenset[str] | None) -> pl.DataFrame | None:
        self.asked.append((name, columns))
        rows = self.rows.get(name)
        if rows is None or columns is None:
            return rows
        return rows.select([one for one in rows.columns if one in columns] or rows.columns[:1])

    def query(self, text: str, units: dict[str, str] | None = None) -> Result:
        tables = Tables(
            names=[*self.rows, "lake.readings"],
            table=self.table,
            contract=lambda stream: READINGS if stream == "readings" else None,
            lake=lambda stream: (self.lake.files(stream), self.lake.empty(READINGS)) if stream == "readings" else None,
            warehouse=self.folder / "warehouse.duckdb",
        )
        return query(text, tables, units)

    def found(self, text: str) -> list[dict[str, Any]]:
        return records(self.query(text).frame)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def test_operational_tables_need_no_schema(stand: Stand) -> None:
    """`ops` is where names are looked up; it may be named."""
    assert stand.found("select count(*) as n from readings") == [{"n": 5}]
    assert stand.found("select count(*) as n from OPS.Readings") == [{"n": 5}]


def test_the_lake_is_a_schema(stand: Stand) -> None:
    """A stream's lake table is there before its first row, and has all rows and columns after it."""
    assert stand.found("select count(*) as n from lake.readings") == [{"n": 0}]
    assert stand.query("from lake.readings").frame.columns == stand.lake.empty(READINGS).columns
    for seq in (1, 30):
        stand.lake.append(READINGS, "live", seq, batch(seq))
    assert stand.found("select event_date, count(*) as n from lake.readings group by all order by 1") == [
        {"event_date": "2026-01-01", "n": 10},
        {"event_date": "2026-01-02", "n": 10},
    ]


def test_lake_files_from_before_a_new_column_are_null_there(stand: Stand) -> None:
    """A column that the table has gained can be asked for at once."""
    stand.lake.append(READINGS, "live", 1, batch(1))
    wider = replace(READINGS, columns=(*READINGS.columns, replace(READINGS.column("value"), name="flow")))
    stand.lake.evolve(wider)
    assert stand.found("select count(*) as n, count(flow) as flows from lake.readings") == [{"n": 10, "flows": 0}]


def test_store_and_lake_show_a_row_alike(stand: Stand) -> None:
    """The same row has the same values and types in both, instants included."""
    stand.lake.append(READINGS, "live", 2, batch(2, rows=5))
    ops = stand.query("from ops.readings order by row_no").frame
    lake = stand.query("select * exclude (event_date) from lake.readings order by row_no").frame
    assert ops.equals(lake)
    assert ops.schema == lake.schema
    assert ops.schema["taken"] == pl.Datetime("us", "UTC")


def test_only_what_is_named_is_read(stand: Stand) -> None:
    """Tables that a statement does not name are not read, nor columns that it does not name."""
    stand.query("with x as (select value from readings where part is null) select count(*) from x")
    assert [name for name, _ in stand.asked] == ["readings", "x"]
    assert stand.asked[0][1] is not None
    assert {"value", "part"} <= stand.asked[0][1]
    assert "note" not in stand.asked[0][1]
    stand.asked.clear()
    stand.query("select count(*) from readings")
    assert stand.asked == [("readings", frozenset())]


@pytest.mark.parametrize(
    "text",
    [
        "select readings from readings",
        "select to_json(r) from readings r",
        "select count(*) from readings a natural join readings b",
        "select columns('va.*') from readings",
        "select part from readings as r(device, part)",
        "describe readings",
        "pivot readings on device using count(*)",
        "explain select value from readings",
        "from readings",
    ],
)
def test_whoever_may_need_all_columns_gets_them(stand: Stand, text: str) -> None:
    """Where columns are not all named, the whole table is read."""
    assert stand.query(text).frame.height
    assert ("readings", None) in stand.asked


def test_hotfires_own_tables_stay_as_they_are(stand: Stand) -> None:
    """Only a contract says that an integer is an instant."""
    assert stand.found("from hf_ledger") == [{"stream": "readings", "committed_at_ns": 5}]


def test_marts_are_there_once_they_are_built(stand: Stand, tmp_path: Path) -> None:
    """The warehouse is opened where a statement names it; another process that writes it is told of."""
    with pytest.raises(UserError):
        stand.query("from marts.daily")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            "create table daily as select 7 as n; create schema core; create table core.t as select 8 as n"
        )
    assert stand.found("from marts.daily") == [{"n": 7}]
    assert stand.found("from marts.core.t") == [{"n": 8}]
    (tmp_path / "warehouse.duckdb").write_bytes(b"no database")
    with pytest.raises(Refused, match=r"warehouse\.duckdb cannot be opened"):
        stand.query("from marts.daily")


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "with a as (select 1) select * from a",
        "values (1)",
        "describe readings",
        "show tables",
        "summarize readings",
        "explain select 1",
        "pivot readings on device using count(*)",
        "unpivot readings on value into name n value v",
        "table readings",
        "-- a comment\nselect 1 -- and another",
        "select 1;",
    ],
)
def test_reading_is_let_through(stand: Stand, text: str) -> None:
    """Every kind of statement that only reads."""
    assert stand.query(text).frame.height >= 1


@pytest.mark.parametrize(
    "text",
    [
        "copy readings to 'out.csv'",
        "copy (pivot readings on device) to 'out.csv'",
        "explain analyze copy (select 1) to 'out.csv'",
        "attach 'out.db'",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "set enable_external_access = true",
        "reset threads",
        "pragma version",
        "call pragma_version()",
        "use lake",
        "create table out (n int)",
        "create view out as select 1",
        "create table lake.out as from readings",
        "insert into readings values (1)",
        "delete from readings",
        "update readings set value = 1",
        "drop view readings",
        "with x as (insert into readings values (1) returning *) from x",
        "export database 'out'",
        "checkpoint",
        "begin",
        "prepare p as select 1",
        "select 1; select 2",
        "",
        "-- nothing",
        "selec 1",
        "from 'out.csv'",
        "from read_csv('/etc/passwd')",
        "from read_text('/etc/hostname')",
        "from read_blob('/etc/hostname')",
        "from glob('/etc/*')",
        "from sniff_csv('/etc/passwd')",
        "from read_parquet('https://example.com/x.parquet')",
        "from parquet_metadata('out.parquet')",
        "select getenv('HOME')",
        "from stand",
    ],
)
def test_everything_else_is_refused(stand: Stand, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written, set, loaded or read from outside, and the reason is a sentence."""
    monkeypatch.chdir(stand.folder)
    before = sorted(stand.folder.iterdir())
    with pytest.raises(UserError) as caught:
        stand.query(text)
    assert caught.value.what
    assert sorted(stand.folder.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "says", "does"),
    [
        ("select valeu from readings", 'column "valeu" not found', ""),
        ("from reading", "There is no table reading.", "Did you mean readings?"),
        ("from zzz", "There is no table zzz.", "There are readings, lake.readings; SHOW TABLES tells all."),
        ("from lake.reading", "There is no table lake.reading.", "Did you mean lake.readings?"),
        ("select 1 +", "syntax error", ""),
        ("", "There is no statement.", "select count(*) from STREAM"),
        ("drop table readings", "DROP is refused", "Use SELECT"),
    ],
)
def test_mistakes_are_explained(stand: Stand, text: str, says: str, does: str) -> None:
    """What was wrong, and what there is instead."""
    with pytest.raises(UserError) as caught:
        stand.query(text)
    assert says in caught.value.what
    assert does in caught.value.do


AWKWARD = replace(
    READINGS, columns=tuple(replace(one, name="order") if one.name == "part" else one for one in READINGS.columns)
)


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("select order from readings", 'write "order", in double quotes'),
        ("select max(order) from readings where value = 'order'", 'write "order", in double quotes'),
        ('select "order" frm readings readings', "Texts stand in single quotes"),
        ("select value from readings where and", "Texts stand in single quotes"),
    ],
)
def test_a_column_called_like_an_sql_word(stand: Stand, text: str, does: str) -> None:
    """Where the parser stumbles over such a column, the error says to quote it; in quotes it can be asked for."""
    tables = Tables(
        names=["readings"],
        table=lambda _, __: stand.rows["readings"].rename({"part": "order"}),
        contract=lambda _: AWKWARD,
        lake=lambda _: None,
    )
    with pytest.raises(UserError, match="syntax error") as caught:
        query(text, tables)
    assert does in caught.value.do
    assert query('select "order" from readings', tables).frame.columns == ["order"]


def test_suggestions_know_columns_that_were_not_read(stand: Stand) -> None:
    """A misspelt column is compared with all columns of the table, not only with those in use."""
    with pytest.raises(UserError, match=r'Candidate bindings: .*"value"'):
        stand.query("select device from readings where valeu > 1")


def test_a_missing_lake_file_is_an_outage(stand: Stand) -> None:
    """The user is not blamed for it."""
    stand.lake.append(READINGS, "live", 1, batch(1))
    Path(stand.lake.files("readings")[0]).unlink()
    with pytest.raises(LakeUnusable, match="The lake cannot be read"):
        stand.query("select sum(value) from lake.readings")


def test_a_damaged_lake_file_is_an_outage(stand: Stand) -> None:
    """A file that was cut short is not the mistake of whoever asks."""
    stand.lake.append(READINGS, "live", 1, batch(1))
    file = Path(stand.lake.files("readings")[0])
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(LakeUnusable, match="The lake cannot be read"):
        stand.query("select sum(value) from lake.readings")


def test_show_tables_names_all(stand: Stand) -> None:
    """Tables are listed without reading them."""
    assert stand.found("SHOW TABLES;") == [{"name": name} for name in ("readings", "hf_ledger", "lake.readings")]
    assert stand.asked == []


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("select value from readings", {"value": "bar"}),
        ("select r.value, part from readings r order by value", {"value": "bar"}),
        ("select * from lake.readings", {"value": "bar"}),
        ("select value, count(*) as n from readings group by value", {"value": "bar"}),
        ("with x as (select value from readings) select value from x", {"value": "bar"}),
        ("select value as value from readings", {"value": "bar"}),
        ("select readings.value from readings join lake.readings l using (device)", {"value": "bar"}),
        ("select value * 2 as value from readings", {}),
        ("select value + 1 from readings", {}),
        ("select max(value) from readings", {}),
        ("select value as v from readings", {}),
        ("select part as value from readings", {}),
        ("select * replace (value * 2 as value) from readings", {}),
        ("select * rename (part as value) from (select part from readings)", {}),
        ("with x(value) as (select part from readings) select value from x", {}),
        ("with x as (select value * 2 as value from readings) select value from x", {}),
        ("select x.value from (select {'value': value * 2} as x from readings)", {}),
        ("select value from (select part from readings) as t(value)", {}),
        ("select value from readings union all select part from readings", {}),
        ("select columns('value') * 2 from readings", {}),
        ("select value from readings as r(value)", {}),
        ("select value from range(3) as t(value)", {}),
        ("select stream from hf_ledger", {}),
        ("describe readings", {}),
        ("pivot readings on part using first(value) as value", {}),
    ],
)
def test_only_unchanged_columns_have_units(stand: Stand, text: str, units: dict[str, str]) -> None:
    """A unit is shown where the column comes from a contract as it is, and nowhere else."""
    try:
        assert stand.query(text).units == units
    except UserError as error:
        pytest.fail(f"{error.what} {error.do}")


def test_marts_have_no_units(stand: Stand, tmp_path: Path) -> None:
    """A mart's column may have a stream's name and another meaning."""
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute("create table daily as select 7 as value")
    assert stand.query("select value from readings union by name select value from marts.daily").units == {}
    assert stand.query("select d.value from marts.daily d, readings").units == {}


def test_headers_show_units(stand: Stand) -> None:
    """`value [bar]` for people; records have bare names."""
    result = stand.query("select value, part from readings")
    assert [header(name, result.units) for name in result.frame.columns] == ["value [bar]", "part"]
    assert list(records(result.frame)[0]) == ["value", "part"]


def test_units_are_converted_on_request(stand: Stand) -> None:
    """0.1 bar is 10 kPa; nulls stay."""
    result = stand.query("select value from readings union all select null order by 1 nulls last")
    assert result.units == {}
    result = stand.query("select value from (from readings) order by row_no limit 2", {"value": "kPa"})
    assert result.frame["value"].to_list() == [0.0, 10.0]
    assert result.units == {"value": "kPa"}
    none = stand.query("select nullif(row_no, 0) as r, value from readings where value is null", {"value": "psi"})
    assert none.frame.is_empty()


@pytest.mark.parametrize(
    ("units", "says", "does"),
    [
        ({"valeu": "Pa"}, "no column valeu", "Did you mean value?"),
        ({"part": "Pa"}, "the unit of part is not known", "contract"),
        ({"value": "K"}, "bar cannot be converted to K", ""),
        ({"value": "kpaa"}, "no unit `kpaa`", ""),
    ],
)
def test_units_that_do_not_fit_are_refused(stand: Stand, units: dict[str, str], says: str, does: str) -> None:
    """Never a silent number in the wrong unit."""
    with pytest.raises(UserError) as caught:
        stand.query("select value, part from readings", units)
    assert says in caught.value.what
    assert does in caught.value.do


def test_values_become_json(stand: Stand) -> None:
    """Each type as JSON has it; what JSON has not is null."""
    text = """
        select 9223372036854775807 as long, 12345678901234567890::hugeint as huge, 1.5::decimal(9, 3) as money,
            'nan'::double as nothing, 1e308 * 10 as infinite, 0.1 as tenth, true as yes, '\x01ff'::blob as bytes,
            date '2026-01-02' as day, time '01:02:03.5' as clock, timestamp '2026-01-02 03:04:05' as naive,
            timestamptz '2026-01-02 03:04:05.25+02' as instant, make_timestamp_ns(1) as nanos,
            interval 90 minute as span, [1, null] as list, {'t': timestamptz '1970-01-01 00:00:00+00', 'f': 'inf'::double}
            as struct, map {1: 'a'} as map, null as none, 'ü'::varchar as text, [interval 1 day] as spans
    """
    assert stand.found(text) == [
        {
            "long": 9223372036854775807,
            "huge": 12345678901234567890,
            "money": 1.5,
            "nothing": None,
            "infinite": None,
            "tenth": 0.1,
            "yes": True,
            "bytes": "AWZm",
            "day": "2026-01-02",
            "clock": "01:02:03.500000",
            "naive": "2026-01-02T03:04:05",
            "instant": "2026-01-02T01:04:05.25Z",
            "nanos": "1970-01-01T00:00:00.000000001",
            "span": "01:30:00",
            "list": [1, None],
            "struct": {"t": "1970-01-01T00:00:00Z", "f": None},
            "map": {"1": "a"},
            "none": None,
            "text": "ü",
            "spans": "[1 day]",
        }
    ]


def test_two_columns_of_one_name_stay_two(stand: Stand) -> None:
    """The second is numbered."""
    assert stand.found("select 1 as n, 2 as n, 3 as n_1") == [{"n": 1, "n_1": 2, "n_1_1": 3}]


def test_no_rows_are_no_records(stand: Stand) -> None:
    """An empty result keeps its columns."""
    result = stand.query("select value from readings where false")
    assert (result.frame.columns, records(result.frame), result.units) == (["value"], [], {"value": "bar"})


def test_the_interpreter_ends_in_silence() -> None:
    """DuckDB complains on stderr where something of it is left at exit; a query leaves nothing."""
    script = """if True:
        import polars as pl
        from hotfire.errors import HotfireError
        from hotfire.sql.duck import Tables, query
        rows = pl.DataFrame({"n": [1]})
        tables = Tables(["t"], lambda name, columns: rows if name == "t" else None, lambda s: None, lambda s: None)
        print(query("select n, interval 1 day from t", tables).frame.height)
        try:
            query("select m from t", tables)
        except HotfireError as error:
            print(error.exit_code)
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (run.stdout.split(), run.stderr) == (["1", "2"], "")


def test_pyarrow_is_not_needed() -> None:
    """The lake and SQL live without it: nothing imports it."""
    script = "import sys, hotfire.lake.delta, hotfire.sql.duck; print('pyarrow' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_errors_have_one_root(stand: Stand) -> None:
    """Whatever goes wrong is hotfire's own error."""
    for text in ("select 'x'::int", "select error('boom')", "select sum(device) from readings"):
        with pytest.raises(HotfireError):
            stand.query(text)
