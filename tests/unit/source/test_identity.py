"""Which file is which."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from hotfire.rows import Place
from hotfire.source.identity import listing, look, recognise, tail


def place(path: Path, *known: Place) -> Place:
    ((_, found),) = recognise([look(path)], known)
    return found


def test_a_file_that_grows_stays_the_same(tmp_path: Path) -> None:
    """The length of the head is kept as it was first seen, so growth changes nothing."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    first = place(path)
    assert first.facts["head_length"] == 10
    path.write_bytes(b"x" * 10_000)
    assert place(path, first) == first


def test_only_the_head_is_compared(tmp_path: Path) -> None:
    """Four kilobytes tell a file: what is behind them may change, what is in them may not."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 5000)
    first = place(path)
    path.write_bytes(b"x" * 4096 + b"y" * 904)
    assert place(path, first).key == first.key
    path.write_bytes(b"x" * 4095 + b"y" * 905)
    assert place(path, first).key != first.key


def test_a_renamed_file_keeps_its_key(tmp_path: Path) -> None:
    """The inode finds a renamed file; its place says its new name."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    first = place(path)
    moved = path.rename(tmp_path / "b")
    found = place(moved, first)
    assert (found.key, found.label, found.facts["path"]) == (first.key, str(moved), str(moved.resolve()))


def test_after_a_rotation_both_files_are_known_apart(tmp_path: Path) -> None:
    """A new file with the same begin at the old path is not the renamed one, and not the old one."""
    path = tmp_path / "a"
    path.write_bytes(b"head")
    first = place(path)
    old = path.rename(tmp_path / "a.1")
    path.write_bytes(b"head and more")
    (_, new), (_, renamed) = recognise([look(path), look(old)], [first])
    assert renamed.key == first.key
    assert new.key != first.key


def test_a_second_name_of_a_file_is_left_out(tmp_path: Path) -> None:
    """A hard link is the same file: it is read once. A symbolic link to it too."""
    path = tmp_path / "a"
    path.write_bytes(b"content")
    (tmp_path / "b").hardlink_to(path)
    (tmp_path / "c").symlink_to(path)
    found = recognise([look(file) for file in listing(str(tmp_path))], [])
    assert [Path(one.label).name for _, one in found] == ["a"]


def test_copies_are_files_of_their_own(tmp_path: Path) -> None:
    """Two files of one content have two keys."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"content")
    found = recognise([look(file) for file in listing(str(tmp_path))], [])
    assert len({one.key for _, one in found}) == 2


def test_globs_come_in_order_of_name(tmp_path: Path) -> None:
    """A glob's files come by name, folders with a matching name are no files."""
    for name in ("b.csv", "a.csv", "c.txt", ".d.csv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "e.csv").mkdir()
    assert [file.name for file in listing(str(tmp_path / "*.csv"))] == ["a.csv", "b.csv"]


def test_a_file_whose_last_bytes_read_are_gone_is_another(tmp_path: Path) -> None:
    """A wide header fills the first bytes of every file: written anew at the same inode, however often, it is new."""
    header = ",".join(f"channel_{at:05}" for at in range(500)).encode() + b"\n"
    path = tmp_path / "a"
    path.write_bytes(header + b"1\n")
    first = place(path)
    size = path.stat().st_size
    read = replace(first, offset=size, facts={**first.facts, "tail": tail(path, size)})
    path.write_bytes(header + b"1\n2\n")
    assert place(path, read).key == first.key
    path.write_bytes(header + b"3\n4\n")
    second = place(path, read)
    assert second.key != first.key
    assert place(path, read, replace(second, facts={**second.facts, "tail": [size, 2, "other"]})).key not in {
        first.key,
        second.key,
    }
