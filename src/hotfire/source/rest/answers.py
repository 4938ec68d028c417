"""What an API has answered, on disk by content: so a poll can be read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from hotfire.durable import make, sync
from hotfire.errors import Outage, SourceChanged

KEPT_BYTES = 64 << 20
"""So much of what was committed is kept, the newest first."""


class Answers:
    """A folder of answers, each under its SHA-256; the newest are held in memory, too.

    Args:
        durable: False: nothing is written; what was taken is known to this process only.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder, self._durable = folder, durable
        self._held: dict[str, bytes] = {}

    def keep(self, body: bytes) -> str:
        """Write an answer down; its name. It is on disk when this returns."""
        name = hashlib.sha256(body).hexdigest()
        self._held[name] = body
        if self._durable:
            try:
                self._write(self._folder / name, body)
            except OSError as error:
                do = "Free some space, or make the folder writable."
                raise Outage(f"{self._folder} cannot be written: {error.strerror}.", do) from error
        return name

    def _write(self, path: Path, body: bytes) -> None:
        if path.exists():
            path.touch()
            return
        make(self._folder)
        partial = self._folder / f".{path.name}.{os.getpid()}"
        with partial.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync(self._folder)

    def body(self, name: str) -> bytes:
        """An answer by its name. Raises SourceChanged where it is gone, or is another by now."""
        if name not in self._held:
            path = self._folder / name
            try:
                found = path.read_bytes()
            except OSError as error:
                raise SourceChanged(f"The answer {path} cannot be read: {error.strerror}.") from error
            if hashlib.sha256(found).hexdigest() != name:
                raise SourceChanged(f"The answer {path} has other content now.")
            self._held[name] = found
        return self._held[name]

    def release(self, needed: Collection[str]) -> None:
        """Let go of answers that are not needed: in memory of all of them, on disk of the oldest."""
        self._held = {name: body for name, body in self._held.items() if name in needed}
        if not self._durable or not self._folder.is_dir():
            return
        for path in self._folder.glob(".*"):  # of processes that died while they wrote
            path.unlink(missing_ok=True)
        left = KEPT_BYTES
        for path in sorted(self._folder.iterdir(), key=lambda one: one.stat().st_mtime_ns, reverse=True):
            left -= path.stat().st_size
            if left < 0 and path.name not in needed:
                path.unlink(missing_ok=True)
