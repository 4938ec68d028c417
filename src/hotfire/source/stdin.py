"""Standard input and pipes as files, so that they can be read again.

What comes through a pipe is a file of its own each time, also where it says what an earlier one said. Only the file that
an interrupted run has left half taken is gone on with, when the same bytes come again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Collection
from itertools import count
from pathlib import Path
from typing import BinaryIO

from hotfire.errors import UserError

_PREFIX = "stdin-"
_STANDARD = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_BLOCK = 1 << 20


def is_pipe(path: str) -> bool:
    """Whether what a path names can be read only once: standard input, a FIFO, a socket, the empty device."""
    if path in _STANDARD:
        return True
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return False
    if stat.S_ISCHR(found.st_mode):
        return found.st_rdev == Path(os.devnull).stat().st_rdev
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)


def kept(folder: Path) -> list[Path]:
    """The files of a folder that hold what came through pipes."""
    return sorted(folder.glob(f"{_PREFIX}*"))


class Pipes:
    """What came through pipes, each read once and whole, in the files of a folder.

    Args:
        folder: where the files are; None refuses pipes.
        stdin: what standard input is; this process's if None.
        resume: go on with what an interrupted run has left.
    """

    def __init__(self, folder: Path | None, stdin: BinaryIO | None, *, resume: bool) -> None:
        self._folder, self._stdin, self._resume = folder, stdin, resume
        self._files: dict[str, Path | None] = {}
        self._own: set[Path] = set()

    def take(self, path: str, known: Collection[str]) -> Path | None:
        """The file that holds what came through the pipe; None where nothing came.

        Args:
            known: names of files that were taken from before, whole or in part: never given again.

        Raises:
            UserError: there is no folder.
            OSError: the pipe cannot be read, or the folder not be written.
        """
        if path not in self._files:
            if self._folder is None:
                raise UserError("Standard input and pipes need a spool folder.", "Give a file.")
            self._folder.mkdir(parents=True, exist_ok=True)
            if path in _STANDARD:
                self._files[path] = self._kept(self._stdin or sys.stdin.buffer, self._folder, known)
            else:
                with Path(path).open("rb") as pipe:
                    self._files[path] = self._kept(pipe, self._folder, known)
        return self._files[path]

    def __contains__(self, file: Path) -> bool:
        """Whether the file holds what came through one of these pipes."""
        return file in self._files.values()

    def let_go(self, file: Path, *, whole: bool, begun: bool) -> None:
        """Remove the file where it is of no use: taken whole, or new and not begun."""
        if whole or (file in self._own and not begun):
            file.unlink(missing_ok=True)

    def _kept(self, pipe: BinaryIO, folder: Path, known: Collection[str]) -> Path | None:
        sha, unnamed = hashlib.sha256(), folder / f".{_PREFIX}{os.getpid()}"
        for stale in folder.glob(f".{_PREFIX}*"):  # of processes that died while they read
            stale.unlink(missing_ok=True)
        with unnamed.open("wb") as file:
            while block := pipe.read(_BLOCK):
                sha.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        if not size:
            unnamed.unlink()
            return None
        names = (folder / f"{_PREFIX}{sha.hexdigest()[:32]}-{number}" for number in count(1))
        named = next(one for one in names if self._left(one, known) or not (one.name in known or one.exists()))
        if self._left(named, known):
            unnamed.unlink()
            return named
        self._own.add(named)
        return unnamed.rename(named)

    def _left(self, file: Path, known: Collection[str]) -> bool:
        return self._resume and file.name in known and file.exists()
