"""What an API has answered stays on disk by content: durable, recognised, and not for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotfire.errors import Outage, SourceChanged
from hotfire.source.rest.answers import KEPT_BYTES, Answers


def test_an_answer_is_kept_once_and_found_by_its_content(tmp_path: Path) -> None:
    """The same content has the same name, in this process and the next; nothing half written is left."""
    one = Answers(tmp_path / "raw" / "launches")
    name = one.keep(b"[1]")
    assert one.keep(b"[1]") == name != one.keep(b"[2]")
    assert Answers(tmp_path / "raw" / "launches").body(name) == b"[1]"
    assert len(list((tmp_path / "raw" / "launches").iterdir())) == 2


def test_an_answer_that_is_gone_or_changed_is_no_answer(tmp_path: Path) -> None:
    """It must not pass for what was planned."""
    name = Answers(tmp_path).keep(b"[1]")
    (tmp_path / name).write_bytes(b"[2]")
    with pytest.raises(SourceChanged, match="has other content now"):
        Answers(tmp_path).body(name)
    (tmp_path / name).unlink()
    with pytest.raises(SourceChanged, match="cannot be read"):
        Answers(tmp_path).body(name)


def test_old_answers_go_but_for_those_that_are_needed(tmp_path: Path) -> None:
    """The newest stay as far as there is room, and what a killed process was writing goes."""
    one, size = Answers(tmp_path), KEPT_BYTES // 4
    names = []
    for number in range(6):
        names.append(one.keep(bytes([number]) * size))
        os.utime(tmp_path / names[-1], ns=(number, number))
    (tmp_path / ".half.1").write_bytes(b"x")
    one.release({names[0]})
    assert {path.name for path in tmp_path.iterdir()} == {names[0], *names[2:]}
    one.release(set())
    assert {path.name for path in tmp_path.iterdir()} == set(names[2:])


def test_a_disk_that_cannot_be_written_is_an_outage(tmp_path: Path) -> None:
    """Nothing is planned then."""
    (tmp_path / "raw").write_bytes(b"a file where a folder should be")
    with pytest.raises(Outage, match="cannot be written"):
        Answers(tmp_path / "raw").keep(b"[1]")


def test_a_dry_run_keeps_answers_to_itself(tmp_path: Path) -> None:
    """They can be read while it lasts."""
    one = Answers(tmp_path / "raw", durable=False)
    assert one.body(one.keep(b"[1]")) == b"[1]"
    one.release({"x"})
    assert not (tmp_path / "raw").exists()
