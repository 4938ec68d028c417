"""gz and zstd, alone or several one after the other: whole files only, checked to their end marks."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from hotfire.errors import UserError

_BLOCK = 1 << 18
_MAGIC = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}


class _Frame(Protocol):
    """What both libraries call the decompression of one gz member or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def compression_of(head: bytes) -> str:
    """`gz`, `zst` or `none`, by the first bytes of a file."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "none")


def unpacked(path: Path, compression: str) -> Iterator[bytes]:
    """The decompressed bytes, block by block.

    Raises:
        UserError: the file is cut short or damaged. What came before it is right as far as it goes.
    """
    import zstandard

    with path.open("rb") as file:
        try:
            yield from _frames(file, compression)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise UserError(
                f"{path} is cut short or damaged ({error}).", "Fetch the file again; nothing of it was taken."
            ) from error


def length(path: Path, compression: str) -> int:
    """How many bytes the file holds, decompressed. Reads it to its end; raises UserError as `unpacked`."""
    return sum(len(block) for block in unpacked(path, compression))


def _frames(file: BinaryIO, compression: str) -> Iterator[bytes]:
    frame: _Frame | None = None
    while data := file.read(_BLOCK):
        while data:
            if frame is None and compression == "gz":
                data = data.lstrip(b"\0")  # tapes and some tools pad gz files with zeros
                if not data:
                    break
            frame = frame or _begin(compression)
            yield frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("no end mark")


def _begin(compression: str) -> _Frame:
    if compression == "gz":
        return zlib.decompressobj(wbits=31)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


class Packed:
    """Random access to decompressed bytes, cheap as long as it goes forward."""

    def __init__(self, path: Path, compression: str) -> None:
        self._path, self._compression = path, compression
        self._blocks: Iterator[bytes] = iter(())
        self._at = -1
        self._rest = b""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the content ends."""
        if self._at < 0 or offset < self._at:
            self._blocks, self._at, self._rest = unpacked(self._path, self._compression), 0, b""
        pieces, have = [self._rest], len(self._rest)
        while self._at + have < offset + size and (block := next(self._blocks, None)) is not None:
            pieces.append(block)
            have += len(block)
            if self._at + have <= offset:
                self._at, pieces, have = self._at + have, [], 0
        data = b"".join(pieces)[max(0, offset - self._at) :]
        self._at, self._rest = offset + min(size, len(data)), data[size:]
        return data[:size]

    def close(self) -> None:
        """Let go of the file."""
        self._blocks = iter(())


class Plain:
    """The same for a file that is not compressed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the file ends."""
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def opened(path: Path, compression: str) -> Plain | Packed:
    """The file's content by offset."""
    return Plain(path) if compression == "none" else Packed(path, compression)
