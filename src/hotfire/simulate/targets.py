"""Where simulated lines go: into a file, to standard output, to a server. What takes them counts them."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import zstandard

from hotfire.errors import UserError
from hotfire.simulate.model import Form

FORMS: Mapping[str, Form] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "txt"}
"""How lines are written, by the extension of a file."""

_COMPRESSIONS = (".gz", ".zst")
_SERVERS = ("http://", "https://")


class Target(Protocol):
    """Takes lines. `rows` is how many it has: those of a server are on its disk."""

    rows: int

    def take(self, lines: bytes, rows: int) -> bool:
        """Take whole lines, in order. False where it was told to stop before it had them all.

        Raises:
            UserError: it does not take them, and will not.
            Outage: it could not be reached for too long.
        """
        ...


def is_server(to: str) -> bool:
    """Whether it is a server's address."""
    return to.startswith(_SERVERS)


def form_of(to: str) -> Form:
    """How lines are written there. Raises UserError for an extension or an address that is not known."""
    if to == "-" or is_server(to):
        return "jsonl"
    if "://" in to:
        raise UserError(f"{to} is no place to write to.", "Known: a file, - for standard output, http://HOST:PORT.")
    path = Path(to)
    plain = path.with_suffix("") if path.suffix in _COMPRESSIONS else path
    if plain.suffix not in FORMS:
        raise UserError(f"{to} has no known extension.", f"Known: {', '.join(FORMS)}, plain or with .gz or .zst.")
    return FORMS[plain.suffix]


@contextmanager
def opened(stream: str, to: str, token: str | None, stopped: Callable[[], bool], *, growing: bool) -> Iterator[Target]:
    """The target of a name.

    Args:
        token: what a server wants to see.
        growing: a file shows what is written at once; otherwise it appears under its name only when it is whole.
    """
    if is_server(to):
        from hotfire.simulate.push import pushing

        with pushing(to, stream, token, stopped) as server:
            yield server
    elif to == "-":
        yield Written(sys.stdout.buffer, at_once=True)
    else:
        with (appending if growing else appearing)(Path(to)) as file:
            yield Written(file, at_once=growing)


class Written:
    """Lines into a file. `at_once` shows them to others as soon as they are taken."""

    def __init__(self, file: IO[bytes], *, at_once: bool) -> None:
        self._file, self._at_once = file, at_once
        self.rows = 0

    def take(self, lines: bytes, rows: int) -> bool:
        """Write them."""
        self._file.write(lines)
        if self._at_once:
            self._file.flush()
        self.rows += rows
        return True


@contextmanager
def appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, compressed by its extension, that takes its name when everything went well."""
    part = path.with_name(f".{path.name}.part")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as plain, _compressed(path.suffix, plain) as file:
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """A file that grows under its name; what it held before is gone."""
    if path.suffix in _COMPRESSIONS:
        raise UserError(f"{path} cannot grow line by line: it is compressed.", f"Write {path.with_suffix('')}.")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            yield file


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error


@contextmanager
def _compressed(suffix: str, plain: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file that compresses into `plain`: without name and time, so that equal content is equal bytes."""
    if suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=plain, mtime=0) as file:
            yield file  # type: ignore[misc]
    elif suffix == ".zst":
        with zstandard.ZstdCompressor().stream_writer(plain, closefd=False) as file:
            yield file
    else:
        yield plain
