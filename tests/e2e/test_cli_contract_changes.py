"""What becomes of stored rows when somebody edits, adds or removes a contract under them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

LOOKS = (
    ("digest",),
    ("balance",),
    ("doctor",),
    ("why", "events.jsonl:1"),
    ("sql", "select count(*) as n from events"),
    ("sql", "select count(*) as n from lake.events"),
)


@pytest.fixture
def first(run: Run, make: Any, fleet: Path) -> Path:
    """A workspace that holds rows under the first version of its contract; the second is put aside."""
    (fleet / "contracts" / "events" / "v2.yaml").rename(fleet / "v2.yaml")
    make.write(fleet / "events.jsonl", make.dirty(100))
    assert run("ingest", "events", "--from", "events.jsonl", cwd=fleet).code == 0
    return fleet


def test_a_new_version_changes_nothing_before_it_is_used(run: Run, first: Path) -> None:
    """Whoever only looks sees what is stored, as it is stored; the next ingest converts it."""
    before = [run(*words, "--json", cwd=first).document for words in (LOOKS[0], *LOOKS[3:])]
    (first / "v2.yaml").rename(first / "contracts" / "events" / "v2.yaml")
    after = [run(*words, "--json", cwd=first).document for words in (LOOKS[0], *LOOKS[3:])]
    assert after == before
    assert [run(*words, cwd=first).code for words in LOOKS] == [0] * len(LOOKS)
    assert run("ingest", "events", "--from", "events.jsonl", cwd=first).code == 0
    assert run("digest", "--json", cwd=first).document != before[0]


def test_a_new_column_changes_nothing_before_it_is_used(run: Run, first: Path) -> None:
    """The same for a column that the contract has gained."""
    before = run("digest", "--json", cwd=first).document
    contract = first / "contracts" / "events" / "v1.yaml"
    text = contract.read_text().replace("version: 1.0.0", "version: 1.1.0")
    contract.write_text(text + "\n      - {name: extra, logicalType: number}\n")
    assert run("contract", "lint", "events", cwd=first).code == 0
    assert run("digest", "--json", cwd=first).document == before
    assert [run(*words, cwd=first).code for words in LOOKS] == [0] * len(LOOKS)


def test_a_version_that_was_used_cannot_be_taken_away(run: Run, make: Any, first: Path) -> None:
    """Rows of the second version are not mixed with rows judged by the first; whoever only looks still can."""
    second = first / "contracts" / "events" / "v2.yaml"
    (first / "v2.yaml").rename(second)
    assert run("ingest", "events", "--from", "events.jsonl", cwd=first).code == 0
    digest = run("digest", "--json", cwd=first).document
    second.unlink()
    make.write(first / "more.jsonl", make.dirty(200)[100:])
    refused = run("ingest", "events", "--from", "more.jsonl", cwd=first)
    assert (refused.code, "events is stored by version 2" in refused.err) == (2, True)
    assert run("digest", "--json", cwd=first).document == digest


def test_rows_are_not_told_apart_by_other_columns_than_before(run: Run, first: Path) -> None:
    """Another asset, time or key would make duplicates of what is stored: refused, and nothing is done."""
    digest = run("digest", "--json", cwd=first).document
    contract = first / "contracts" / "events" / "v1.yaml"
    contract.write_text(contract.read_text().replace(", primaryKey: true, primaryKeyPosition: 3", ""))
    refused = run("ingest", "events", "--from", "events.jsonl", cwd=first)
    assert (refused.code, "under the identity device_id, timestamp_ns, event_id" in refused.err) == (2, True)
    assert run("digest", "--json", cwd=first).document == digest
