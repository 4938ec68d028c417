"""Which file is which: known by path and first bytes, found again by inode when renamed, never by name alone.

First bytes can deceive: a header of many columns fills them, and an inode serves again as soon as a file is deleted. So
the last bytes that were read of a file must still stand where they stood; else it is another one, read from its begin.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from hotfire.errors import UserError
from hotfire.rows import Place

HEAD = 4096
"""How many first bytes tell files apart; fewer where the file was smaller when it was first seen."""

_TEMPORARY = (".tmp", ".part", "~")


class Seen(Struct, frozen=True):
    """A file as it is now, with its first bytes. `path` is as it was named, `resolved` the one without links.

    `pipe` names the pipe whose content the file holds; empty for every other file.
    """

    path: Path
    resolved: str
    inode: tuple[int, int]
    size: int
    mtime_ns: int
    head: bytes
    pipe: str = ""

    def starts_like(self, place: Place) -> bool:
        """Whether the first bytes are those that were seen first."""
        length = place.facts["head_length"]
        return len(self.head) >= length and digest(self.head[:length]) == str(place.facts["head"])

    def goes_on(self, place: Place) -> bool:
        """Whether the last bytes that were read are still there; True where they are out of reach.

        A Parquet file is written once: one that has grown is another.
        """
        end, length, known = place.facts.get("tail", (0, 0, ""))
        if self.head.startswith(b"PAR1") and length and self.size != end:
            return False
        if end <= place.facts["head_length"] or self.size < end:
            return True
        try:
            return bool(tail(self.path, end, length)[2] == known)
        except OSError:
            return True


def digest(data: bytes) -> str:
    """A name for bytes."""
    return hashlib.sha256(data).hexdigest()[:32]


def tail(path: Path, end: int, length: int = HEAD) -> list[Any]:
    """The fact `tail`: where the last bytes before `end` end, how many there are, and a name for them.

    Raises OSError.
    """
    start = max(0, end - length)
    with path.open("rb") as file:
        file.seek(start)
        return [end, end - start, digest(file.read(end - start))]


def look(path: Path) -> Seen:
    """One stat and one read of the first bytes. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    status = path.stat()
    return Seen(path, str(path.resolve()), (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns, head)


def recognise(files: Sequence[Seen], known: Iterable[Place]) -> list[tuple[Seen, Place]]:
    """Every file with its place, in their order; a second name of the same file is left out.

    A file is the one known by inode and content (a renamed one keeps its key); else the one known by path and content;
    else it is new: a copy under another name, or the next file at a path after a rotation. Content means the first
    bytes and the last ones read. The content of a pipe is known by its file's name alone, and never taken for another.
    """
    by_inode: dict[tuple[int, ...], list[Place]] = {}
    by_path: dict[str, list[Place]] = {}
    keys = set()
    for place in known:
        by_inode.setdefault(tuple(place.facts["inode"]), []).append(place)
        by_path.setdefault(place.facts["path"], []).append(place)
        keys.add(place.key)
    files = list({seen.inode: seen for seen in reversed(files)}.values())[::-1]
    found: dict[Seen, Place] = {}
    taken: set[str] = set()
    for pool in ("inode", "path"):
        for seen in files:
            alike = by_inode.get(seen.inode, []) if pool == "inode" else by_path.get(seen.resolved, [])
            free = [place for place in alike if place.key not in taken and seen.starts_like(place)]
            free = [place for place in free if _pipe_of(place) == (seen.path.name if seen.pipe else "")]
            free = [place for place in free if seen.goes_on(place)]
            if seen not in found and free:
                best = max(free, key=lambda place: place.facts["path"] == seen.resolved)
                found[seen] = _moved(best, seen)
                taken.add(best.key)
    return [(seen, found[seen] if seen in found else _new(seen, keys)) for seen in files]


def _moved(place: Place, seen: Seen) -> Place:
    facts = {**place.facts, "path": seen.resolved, "inode": list(seen.inode)}
    return replace(place, label=seen.pipe or str(seen.path), facts=facts)


def _pipe_of(place: Place) -> str:
    """The name of the file that holds what came through a pipe; empty for the place of any other file."""
    return Path(place.facts["path"]).name if place.facts.get("pipe") else ""


def _new(seen: Seen, keys: Collection[str]) -> Place:
    length = min(HEAD, seen.size)
    head = digest(seen.head[:length])
    key = digest(f"{seen.resolved}\0{head}".encode())
    while key in keys:  # the file known under this key goes by another name now, or was written anew
        key = digest(f"{key}\0{seen.inode}".encode())
    facts = {"path": seen.resolved, "inode": list(seen.inode), "head": head, "head_length": length}
    if seen.pipe:
        facts["pipe"] = seen.pipe
    return Place(key, seen.pipe or str(seen.path), facts=facts)


def listing(path: str, *, awaited: bool = False) -> list[Path]:
    """The files that a path names: itself, a folder's files or a glob's, by name; hidden and temporary ones left out.

    Args:
        awaited: there may be none yet.

    Raises:
        UserError: there is no such file, or a glob or folder without one.
    """
    place = Path(path)
    if place.is_file():
        return [place]
    if place.is_dir():
        names = sorted(place.iterdir())
    elif glob.has_magic(path):
        names = sorted(Path(name) for name in glob.glob(path, recursive=True))  # noqa: PTH207  # a pattern may be absolute
    elif awaited:
        names = []
    else:
        raise UserError(f"There is no file {path}.", "Check the path; a pattern such as runs/*.csv may also be given.")
    files = [name for name in names if name.is_file() and _wanted(name.name)]
    if not files and not awaited:
        raise UserError(f"No file in {path}." if place.is_dir() else f"No file matches {path}.", "Check the path.")
    return files


def _wanted(name: str) -> bool:
    return not name.startswith((".", "~")) and not name.endswith(_TEMPORARY)
