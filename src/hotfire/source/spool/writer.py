"""Pushed payloads on their way to disk: whoever comes while an fsync is under way shares the next one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from hotfire.durable import make
from hotfire.errors import OwnedElsewhere
from hotfire.source.spool.frames import HEADER_BYTES, MARKER_BYTES, MOST_FACTS, Item, encoded
from hotfire.source.spool.segments import create, key_of, listing, mended, opened, read

if TYPE_CHECKING:
    from hotfire.clock import Clock

_WRITE = 8 << 20
_SMALL = 1 << 18
_AHEAD = 4 << 20
_sync = getattr(os, "fdatasync", os.fsync)
_BLANK = b" \t\r\n"


class SpoolLimits(Struct, frozen=True):
    """How large a spool may become.

    Attributes:
        segment_bytes: a file that has so many is followed by the next.
        max_bytes: so many wait at most for their commit. On disk there may be one segment more.
    """

    segment_bytes: int = 64 << 20
    max_bytes: int = 1 << 30


class SpoolState(Struct, frozen=True):
    """A spool in numbers: bytes on disk, bytes that wait for a commit, payloads taken, and fsyncs that took them."""

    disk_bytes: int
    waiting_bytes: int
    payloads: int
    syncs: int


def _begun() -> Future[None]:
    """A future that nobody who waits for it can cancel."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


class _Group(Struct):
    """Payloads that one fsync makes durable, and what their senders wait for."""

    payloads: list[tuple[bytes, bytes]] = field(default_factory=list)
    size: int = 0
    done: Future[None] = field(default_factory=_begun)


class Spool:
    """A folder of segments that keeps what was pushed until it is committed. One process at a time; thread-safe.

    Offsets count the spool's bytes from its first, over all segments and for ever.

    Args:
        clock: for the instant at which a payload was received.

    Raises:
        OwnedElsewhere: another process holds the folder.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, clock: Clock, limits: SpoolLimits | None = None) -> None:
        self.folder = folder
        self._clock, self._limits = clock, limits or SpoolLimits()
        make(folder)
        self._owned = _own(folder)
        found = listing(folder)
        marker = found[-1].marker if found else os.urandom(MARKER_BYTES)
        self.key = key_of(marker)
        self._segments = [*found[:-1], mended(found[-1])] if found else [create(folder, 0, marker)]
        self._file: BinaryIO | None = None
        self._filled = 0
        self._end, self._released = self._segments[-1].end, self._segments[0].base
        self._group, self._writing = _Group(), 0
        self._payloads = self._syncs = self._wakes = 0
        self._closed = False
        self._lock = Lock()
        self._asked, self._grown = Condition(self._lock), Condition(self._lock)
        self._thread = Thread(target=self._work, name="hotfire-spool", daemon=True)
        self._thread.start()

    @property
    def begin(self) -> int:
        """The offset of the first byte that is still here."""
        with self._lock:
            return self._segments[0].base

    @property
    def end(self) -> int:
        """The offset after the last byte that is durable."""
        with self._lock:
            return self._end

    @property
    def state(self) -> SpoolState:
        """How full it is, and how many payloads shared how many fsyncs since it was opened."""
        with self._lock:
            return SpoolState(self._end - self._segments[0].base, self._waiting(), self._payloads, self._syncs)

    def room(self, size: int) -> bool:
        """Whether a payload of that size would be taken now."""
        with self._lock:
            return self._fits(size)

    def append(self, payload: bytes, facts: Mapping[str, Any] | None = None) -> Future[None] | None:
        """Take a payload; None where the spool is full or closed, and nothing was taken.

        The future is done when the payload is on disk, or has the OSError or MemoryError that kept it from there. It is
        shared with everyone who came at the same time. White space alone is taken and forgotten.

        Args:
            facts: how it is to be read, where not as JSON lines: see `Reading.facts`. At most 65,535 bytes of JSON.
        """
        described = msgspec.json.encode(facts) if facts else b""
        assert len(described) <= MOST_FACTS
        if not payload[:64].strip(_BLANK) and not payload.strip(_BLANK):
            nothing: Future[None] = Future()
            nothing.set_result(None)
            return nothing
        size = HEADER_BYTES + len(described) + len(payload)
        with self._lock:
            if self._closed or not self._fits(size):
                return None
            self._group.payloads.append((payload, described))
            self._group.size += size
            self._asked.notify()
            return self._group.done

    def read(self, at: int, size: int) -> list[Item]:
        """Whole durable items of one segment from offset `at`, where one begins: at least one, else about `size` bytes.

        Empty where nothing is there. Where the bytes at `at` are gone, begins with the first after them.
        """
        with self._lock:
            segments = [one for one in self._segments if one.end > at]
        for segment in segments:
            if items := read(segment, max(at, segment.base), size):
                return items
        return []

    def wait(self, after: int, timeout_s: float | None = None) -> bool:
        """Wait until something behind offset `after` is durable, for so long at most, or until `wake`; whether it is."""
        with self._lock:
            wakes = self._wakes
            self._grown.wait_for(lambda: self._end > after or self._closed or self._wakes > wakes, timeout_s)
            return self._end > after

    def wake(self) -> None:
        """End every `wait` that is under way."""
        with self._lock:
            self._wakes += 1
            self._grown.notify_all()

    def release(self, upto: int) -> None:
        """Everything before the offset is committed: its segments are deleted, but for the last, which knows the end."""
        with self._lock:
            self._released = max(self._released, min(upto, self._end))
            gone = [one for one in self._segments[:-1] if one.end <= self._released]
            self._segments = self._segments[len(gone) :]
        for one in gone:
            one.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what was taken, and let go of the folder. What is in it can still be read."""
        with self._lock:
            closed, self._closed = self._closed, True
            self._asked.notify()
            self._grown.notify_all()
        self._thread.join()
        if not closed:
            self._leave()
            os.close(self._owned)

    def _fits(self, size: int) -> bool:
        waiting = self._waiting()
        return waiting == 0 or waiting + size <= self._limits.max_bytes

    def _waiting(self) -> int:
        return self._end - self._released + self._writing + self._group.size

    def _work(self) -> None:
        """Write group after group, until closed and nothing is left."""
        while True:
            with self._lock:
                self._asked.wait_for(lambda: self._group.payloads or self._closed)
                group, self._group = self._group, _Group()
                self._writing = group.size
            if not group.payloads:
                return
            try:
                self._write(group)
            except (OSError, MemoryError) as error:
                self._drop()
                with self._lock:
                    self._writing = 0
                group.done.set_exception(error)
            else:
                group.done.set_result(None)

    def _write(self, group: _Group) -> None:
        """Append the group's frames, with one fsync unless they are many megabytes."""
        now_ns, marker = self._clock.now_ns(), self._segments[-1].marker
        pieces, size = list[bytes](), 0
        for payload, facts in group.payloads:
            head = encoded(marker, payload, facts, now_ns)
            pieces += (head, payload)
            size += len(head) + len(payload)
            if size >= _WRITE:
                self._append(b"".join(pieces), len(pieces) // 2)
                pieces, size = [], 0
        if pieces:
            self._append(b"".join(pieces), len(pieces) // 2)

    def _append(self, data: bytes, payloads: int) -> None:
        """Make whole frames durable, in a segment that has room for them, and show them to readers.

        Small ones go where zeros were laid before. Then an fsync has nothing to tell the file system's journal, which
        takes ten times as long where others write to the disk as well.
        """
        last = self._segments[-1]
        if last.end > last.base and last.end - last.base + len(data) > self._limits.segment_bytes:
            self._rotate()
        file = self._file = self._file or opened(self._segments[-1])
        _put(file, data)
        end, ahead = file.tell(), min(_AHEAD, self._limits.segment_bytes)
        if end > self._filled and len(data) < _SMALL:
            with suppress(OSError):  # where the disk has room for the frames alone, they are enough
                _put(file, b"\0" * ahead)
            self._filled = file.seek(end) + ahead
        _sync(file.fileno())
        with self._lock:
            self._end += len(data)
            self._segments[-1] = replace(self._segments[-1], end=self._end)
            self._writing -= len(data)
            self._payloads += payloads
            self._syncs += 1
            self._grown.notify_all()

    def _rotate(self) -> None:
        self._leave()
        segment = create(self.folder, self._end, self._segments[-1].marker)
        with self._lock:
            self._segments.append(segment)
        self.release(self._released)

    def _leave(self) -> None:
        """Close the last segment, as long as what is durable of it."""
        if self._file:
            self._file.truncate(self._end - self._segments[-1].base)
            os.fsync(self._file.fileno())
        self._drop()

    def _drop(self) -> None:
        """Close the last segment as it is: opening it cuts off what a failed write left behind its end."""
        if self._file:
            self._file.close()
        self._file, self._filled = None, 0


def _put(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _own(folder: Path) -> int:
    """A lock on the folder that ends with the process. Raises OwnedElsewhere."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise OwnedElsewhere(
            f"Another hotfire process is taking in pushed rows for {folder}.",
            "Wait for it to end, or stop it, and try again.",
        ) from None
    return descriptor
