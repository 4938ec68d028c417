"""Files as a source: one, a folder, a glob, standard input; text of several formats and Parquet, plain or compressed."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.errors import SourceChanged, UserError
from hotfire.rows import Place, Position, Span
from hotfire.source.compression import compression_of
from hotfire.source.contents import Contents, Room, Slice, Taken, open_contents
from hotfire.source.formats import Chunk
from hotfire.source.formats.join import Joined, derived, text_records
from hotfire.source.formats.parquet import ParquetRows
from hotfire.source.formats.reading import Reading, Wanted
from hotfire.source.identity import HEAD, Seen, listing, look, recognise
from hotfire.source.stdin import Pipes, is_pipe

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.protocols import Records

SETTLED_NS = 2_000_000_000
"""A file that has not changed for so long is taken to its last byte, line end or not."""


class FileSettings(Struct, frozen=True):
    """How files are read, and how much of them at once.

    Attributes:
        spool: the folder that holds what came through pipes; None refuses them.
        resume: go on with what an interrupted run has left there.
        awaited: a path may name no file yet.
        follow: look for new files and rows for ever; else what is there at the start is all.
    """

    wanted: Wanted = field(default_factory=Wanted)
    batch_rows: int = 100_000
    batch_bytes: int = 16 << 20
    spool: Path | None = None
    resume: bool = True
    follow: bool = False
    awaited: bool = False


class FileRead(Struct, frozen=True):
    """What one poll brought. Its hash is computed beside the decoding."""

    span: Span
    records: Records
    hashed: Future[str]
    received_at_ns: int | None = None

    @property
    def sha256(self) -> str:
        """Of the parts' bytes after decompression, in order; of Parquet, of the rows as uncompressed Arrow IPC."""
        return self.hashed.result()


class _File(Struct):
    """One file on the way: as it was last looked at, and open where it has been."""

    seen: Seen
    place: Place
    settled: bool
    contents: Contents | None = None
    size: int | None = None
    broken: bool = False

    def open(self, place: Place, wanted: Wanted) -> Place:
        """Open the file where it is not; the place with what was found out. Raises as `open_contents`."""
        if self.contents is None:
            self.contents, place = open_contents(self.seen, place, wanted)
            self.place, self.size = place, self.contents.size
        return place

    def close(self) -> None:
        if self.contents:
            self.contents.close()
        self.contents = None


class FileSource:
    """Records of files, in the order in which the paths are given, of a folder or glob in the order of names.

    A batch holds records of one or many files. A file that cannot be read (damaged, without a needed column) is left
    out whole and remembered in `problems`; the other files go on.

    Args:
        paths: files, folders, globs, pipes; `-` is standard input.
        stdin: what `-` reads.
        pipes: what came through pipes, where another source has read them already.
    """

    def __init__(
        self,
        paths: Sequence[str],
        settings: FileSettings,
        clock: Clock,
        stdin: BinaryIO | None = None,
        pipes: Pipes | None = None,
    ) -> None:
        self._paths, self._settings, self._clock = list(dict.fromkeys(paths)), settings, clock
        self._pipes = pipes or Pipes(settings.spool, stdin, resume=settings.resume)
        self._begun: set[str] = set()
        self._files: dict[str, _File] | None = None
        self._hasher = ThreadPoolExecutor(1, "hotfire-hash")
        self._acknowledged: Position = {}
        self._rotated: dict[str, Path] = {}
        self._left_out: dict[Path, tuple[int, int]] = {}
        self.problems: list[UserError] = []

    def poll(self, after: Position) -> FileRead | None:
        """The next records at or after the position; None where nothing is there at present.

        Where only an unterminated last line is left, waits until its file has not changed for 2 s.

        Raises:
            UserError: a path names no file.
            SourceChanged: a file is shorter than what was read of it.
        """
        if self._files is None:
            self._scan(after)
        read = self._gather(after)
        if read is None and self._settings.follow:
            self._scan(after)
            return self._gather(after)
        if read is None and self._wait(after):
            return self._gather(after)
        return read

    def reread(self, span: Span) -> FileRead:
        """Exactly the records of a span. Raises SourceChanged where a file is gone, another or shorter."""
        taken: list[Taken] = []
        for part in span.parts:
            seen = self._found_again(part.place)
            try:
                contents, _ = open_contents(seen, part.place, self._settings.wanted)
                with closing(contents):
                    taken.append(contents.again(part))
            except UserError as error:
                raise SourceChanged(error.what, error.do) from error
        return self._read(taken)

    def acknowledge(self, position: Position) -> None:
        """Remember what is durable: what came through a pipe is let go of on close."""
        self._acknowledged = {**self._acknowledged, **position}

    def close(self) -> None:
        """Close every file, and remove what came through a pipe and was taken whole."""
        for key, file in (self._files or {}).items():
            file.close()
            place = self._acknowledged.get(key)
            if file.seen.path in self._pipes:
                whole = place is not None and place.offset >= _known_size(file)
                self._pipes.let_go(file.seen.path, whole=whole, begun=key in self._begun)
        self._hasher.shutdown(wait=True)

    def _scan(self, after: Position) -> None:
        """Look at every file once, and find out which place is whose."""
        seen: list[Seen] = []
        for path in self._paths:
            seen += self._through(path, after) if is_pipe(path) else self._at(path)
        if self._settings.follow:
            seen += self._rotated_away(seen, after)
        known = {place.key: place for place in after.values()}
        known = {key: file.place for key, file in (self._files or {}).items()} | known
        for file in (self._files or {}).values():
            file.close()
        now = self._clock.now_ns()
        self._files = {}
        for one, place in recognise(seen, known.values()):
            settled = bool(one.pipe) or now - one.mtime_ns >= SETTLED_NS
            broken = self._left_out.get(one.path) == (one.size, one.mtime_ns)
            file = _File(one, place, settled, broken=broken)
            self._files[place.key] = file
            _refuse_shrunk(file)

    def _rotated_away(self, seen: Sequence[Seen], after: Position) -> Iterator[Seen]:
        """Files that were followed and go by another name in their folder now, until they are read to the end."""
        here = {one.inode for one in seen}
        for file in (self._files or {}).values():
            if file.seen.inode not in here and not file.seen.pipe:
                for other in _siblings(file.seen):
                    self._rotated[file.place.key] = other
        for key, path in list(self._rotated.items()):
            one = self._look(path) if path.exists() else None
            if one is None or one.inode in here or _read_out(one, after.get(key), self._clock.now_ns()):
                del self._rotated[key]
            else:
                yield one

    def _at(self, path: str) -> Iterator[Seen]:
        yield from (
            one for file in listing(path, awaited=self._settings.awaited) if (one := self._look(file)) and one.size
        )

    def _through(self, pipe: str, after: Position) -> Iterator[Seen]:
        known = {Path(place.facts["path"]).name for place in after.values() if place.facts.get("pipe")}
        file = self._pipes.take(pipe, known)
        if file and (one := self._look(file)):
            yield replace(one, pipe=pipe)

    def _look(self, path: Path) -> Seen | None:
        try:
            str(path.resolve()).encode()
            return look(path)
        except UnicodeEncodeError:
            name = os.fsencode(path).decode(errors="backslashreplace")
            self._trouble(UserError(f"{name} has a name that is not UTF-8.", "Rename it."))
        except OSError as error:
            self._trouble(_unreadable(path, error))
        return None

    def _gather(self, after: Position) -> FileRead | None:
        """Records up to a full batch, of one format."""
        taken: list[Taken] = []
        rows, size = self._settings.batch_rows, self._settings.batch_bytes
        for file, place in self._unfinished(after):
            if file.contents is None:
                continue
            if taken and _format(taken[0].part.place) != _format(place):
                break
            one = self._take(file, file.contents, place, Room(rows, size))
            if one is None:
                continue
            taken.append(one)
            rows -= one.part.rows
            size -= len(one.data) if isinstance(one, Chunk) else int(one.frame.estimated_size())
            if rows <= 0 or size <= 0:
                break
        return self._read(taken) if taken else None

    def _take(self, file: _File, contents: Contents, place: Place, room: Room) -> Taken | None:
        try:
            one = contents.take(place, room, settled=file.settled)
        except (UserError, OSError) as error:
            self._leave_out(file, error)
            return None
        if one and one.part.end >= contents.size:
            file.close()
        return one

    def _unfinished(self, after: Position) -> Iterator[tuple[_File, Place]]:
        """Files with something left, and where reading of them goes on; open, but for those that it is too early for."""
        for file in (self._files or {}).values():
            place = _place(file, after)
            if file.broken or place.offset >= _known_size(file):
                continue
            if not _too_early(file):
                try:
                    place = file.open(place, self._settings.wanted)
                except (UserError, OSError) as error:
                    self._leave_out(file, error)
                    continue
            if place.offset < _known_size(file):
                yield file, place

    def _leave_out(self, file: _File, error: UserError | OSError) -> None:
        file.broken = True
        file.close()
        self._left_out[file.seen.path] = (file.seen.size, file.seen.mtime_ns)
        self._trouble(error if isinstance(error, UserError) else _unreadable(file.seen.path, error))

    def _trouble(self, error: UserError) -> None:
        """Remember it, once however often it is met."""
        if error.what not in {one.what for one in self.problems}:
            self.problems.append(error)

    def _wait(self, after: Position) -> bool:
        """Wait until files with an unterminated last line have not changed for 2 s; whether there were any."""
        now = self._clock.now_ns()
        open_ = [file for file, _ in self._unfinished(after) if not file.settled]
        if not open_:
            return False
        ages = [now - file.seen.mtime_ns for file in open_]
        self._clock.sleep(max(0, min(max(SETTLED_NS - age for age in ages), SETTLED_NS)) / 1e9)
        for file in open_:
            seen = self._look(file.seen.path) or file.seen
            file.settled = (seen.size, seen.mtime_ns) == (file.seen.size, file.seen.mtime_ns)
            file.close()
            file.seen, file.size = seen, None
            _refuse_shrunk(file)
        return True

    def _found_again(self, place: Place) -> Seen:
        """The file of a place, under its path or another that it was renamed to."""
        if "path" not in place.facts:
            raise SourceChanged(f"{place.label} is no file: what was pushed is let go of once it is committed.")
        path = Path(place.facts["path"])
        others = [file for one in self._paths if not is_pipe(one) for file in _listed(one)]
        for candidate in (path, *others):
            if not candidate.is_file():
                continue
            seen = look(candidate)
            if seen.starts_like(place) and (candidate == path or list(seen.inode) == place.facts["inode"]):
                return seen
        name = "What came by standard input" if place.label == "-" else place.label
        raise SourceChanged(
            f"{name} {'has other content now' if path.is_file() else 'is gone'}.",
            "Put the file back as it was, or drop the batch that was planned with it and is not committed: "
            "`hotfire doctor --repair`. Nothing was done.",
        )

    def _read(self, taken: Sequence[Taken]) -> FileRead:
        self._begun |= {one.part.place.key for one in taken}
        span = Span(tuple(one.part for one in taken))
        return FileRead(span, _records(taken), self._hasher.submit(_hash, taken))


def _records(taken: Sequence[Taken]) -> Records:
    chunks = [one for one in taken if isinstance(one, Chunk)]
    slices = [one for one in taken if isinstance(one, Slice)]
    groups = [text_records(chunks)] if chunks else []
    for one in slices:
        reading = Reading.of(one.part.place.facts["reading"])
        groups.append(derived(ParquetRows(one.part, one.frame), [(one.part.rows, reading)]))
    return groups[0] if len(groups) == 1 else Joined(groups)


def _siblings(seen: Seen) -> list[Path]:
    """The file under another name in its folder; none where it is gone."""
    try:
        entries = list(os.scandir(seen.path.parent))
    except OSError:
        return []
    return [Path(one.path) for one in entries if one.inode() == seen.inode[1] and one.is_file(follow_symlinks=False)]


def _read_out(seen: Seen, place: Place | None, now_ns: int) -> bool:
    """Whether a file that was rotated away is read to its end and has not grown for a while."""
    return place is not None and place.offset >= seen.size and now_ns - seen.mtime_ns >= SETTLED_NS


def _hash(taken: Sequence[Taken]) -> str:
    sha = hashlib.sha256()
    for one in taken:
        sha.update(one.data)
    return sha.hexdigest()


def _format(place: Place) -> str:
    return Reading.of(place.facts["reading"]).format


def _place(file: _File, after: Position) -> Place:
    """Where reading of the file goes on: at the position, else where its first record may begin."""
    key, facts = file.place.key, file.place.facts
    if key in after:
        return replace(file.place, offset=after[key].offset, line=after[key].line)
    reading = facts.get("reading", {})
    return replace(file.place, offset=reading.get("start", 0), line=reading.get("start_line", 1))


def _known_size(file: _File) -> int:
    """Where the file's content ends; as good as endless where telling takes opening it."""
    if file.size is not None:
        return file.size
    facts = file.place.facts
    packed = facts.get("packed")
    if packed:
        return int(packed[1]) if packed[0] == file.seen.size else sys.maxsize
    return file.seen.size if facts.get("reading", {}).get("format") in ("table", "json", "jsonl") else sys.maxsize


def _too_early(file: _File) -> bool:
    """Whether the file is still being written and has not even one line to learn its form from."""
    head = file.seen.head
    plain = len(head) < HEAD and not head.startswith(b"PAR1") and compression_of(head) == "none"
    return plain and not file.settled and "reading" not in file.place.facts and b"\n" not in head


def _refuse_shrunk(file: _File) -> None:
    """A plain file that is shorter than what was read of it was not appended to, but written anew."""
    reading = file.place.facts.get("reading", {"format": "parquet"})
    if reading["format"] != "parquet" and "packed" not in file.place.facts and file.seen.size < file.place.offset:
        raise SourceChanged(
            f"{file.seen.path} has shrunk: {file.seen.size} bytes, but {file.place.offset} were read before.",
            "Restore the file as it was, or give the new content another name. Nothing was done.",
        )


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path} cannot be read: {error.strerror}.", "Check that it is there, and its permissions.")


def _listed(path: str) -> list[Path]:
    try:
        return listing(path)
    except UserError:
        return []
