"""What a request's body is: unpacked within bounds, and in which form its records stand."""

from __future__ import annotations

import zlib
from typing import Any

from hotfire.web.answers import Declined

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 16
_MEMBERS = 1000
_HEAD = 1 << 16


def too_large(limit: int) -> Declined:
    """413."""
    return Declined(413, f"The body has more than {limit:,} bytes.", "Nothing was taken. Send it in several requests.")


def unpacked(body: bytes, limit: int) -> bytes:
    """A gzip body, decompressed: never more than `limit` bytes of it.

    Raises:
        Declined: 413 where there are more, 400 where it is damaged, not gzip, or of absurdly many members.
    """
    view, at, pieces, left = memoryview(body), 0, list[bytes](), limit
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if at >= len(body):
                raise _damaged("it ends early")
            try:
                pieces.append(member.decompress(view[at : at + _BLOCK], left + 1))
            except zlib.error as error:
                raise _damaged(str(error)) from error
            at += _BLOCK
            left -= len(pieces[-1])
            if left < 0:
                raise too_large(limit)
        at = min(at, len(body)) - len(member.unused_data)
        if at >= len(body):
            return b"".join(pieces)
    raise _damaged("it has too many members")


def _damaged(why: str) -> Declined:
    return Declined(400, f"The body is not sound gzip: {why}.", "Nothing was taken. Send it again.")


def facts_of(payload: bytes, media: str) -> dict[str, Any] | None:
    """How the payload is to be read, where it is not one record a line: an array, or one record over many lines."""
    head = payload[:_HEAD].lstrip()
    if head.startswith(b"["):
        return {"format": "json"}
    if media != "application/json" or not head.startswith(b"{") or head.partition(b"\n")[0].rstrip().endswith(b"}"):
        return None
    text = payload.rstrip()
    last = text[text.rfind(b"\n") + 1 :].lstrip()
    return None if last.startswith(b"{") else {"format": "json"}


def without_mark(payload: bytes) -> bytes:
    """The payload without a byte order mark before it."""
    return payload.removeprefix(_BOM)


def lines(payload: bytes) -> int:
    """How many lines it has; an unterminated last one counts."""
    return payload.count(b"\n") + (not payload.endswith(b"\n") and bool(payload))
