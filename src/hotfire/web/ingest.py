"""`POST /api/v1/ingest/{stream}`: rows into a stream's spool, acknowledged when they are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request

from hotfire.source.spool.writer import Spool
from hotfire.web.answers import RETRY_S, Declined, busy, json
from hotfire.web.meters import Meters
from hotfire.web.payload import facts_of, lines, too_large, unpacked, without_mark

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.responses import Response

MEDIA = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
)
"""The content types that are taken for JSON. The last one is what curl says where it is told nothing."""

_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_LARGE = 1 << 18


class IngestLimits(Struct, frozen=True):
    """How much is taken at once.

    Attributes:
        body_bytes: of one request, also after decompression.
        open_bytes: of all requests that have no answer yet; beyond it they are asked to come again.
        body_seconds: a request whose body is not there after so long is given up.
    """

    body_bytes: int = 32 << 20
    open_bytes: int = 256 << 20
    body_seconds: float = 60


class Ingest:
    """The endpoint. One a server: it counts what all requests hold in memory together.

    Args:
        spools: where the rows of each stream go, by its name.
    """

    def __init__(self, spools: Mapping[str, Spool], limits: IngestLimits, meters: Meters) -> None:
        self._spools, self._limits, self._meters = spools, limits, meters
        self._memory = _Memory(limits.open_bytes)
        self._shared: dict[str, tuple[Future[None], asyncio.Future[None]]] = {}

    async def post(self, request: Request) -> Response:
        """Take the body into the spool: 202 when it is durable. What is in it is judged later, by the contract."""
        name = request.path_params["stream"]
        try:
            with self._memory.lease() as take:
                answer = await self._taken(name, self._spool(name), request, take)
        except Declined as error:
            self._meters.answered(name if name in self._spools else "", error.status_code)
            raise
        self._meters.answered(name, answer.status_code)
        return answer

    def _spool(self, name: str) -> Spool:
        if name not in self._spools:
            known = ", ".join(self._spools) or "none"
            raise Declined(404, f"No stream {name!r} takes rows here.", f"Streams that do: {known}.")
        return self._spools[name]

    async def _taken(self, name: str, spool: Spool, request: Request, take: Callable[[int], None]) -> Response:
        media, packed = _form(request.headers)
        declared = int(request.headers.get("content-length", "0"))
        if declared > self._limits.body_bytes:
            raise too_large(self._limits.body_bytes)
        if not spool.room(declared):
            raise busy(f"The spool of {name} is full: rows come faster than they are committed.")
        payload = await self._received(request, take)
        if packed and payload:
            limit = self._limits.body_bytes
            large = len(payload) > _LARGE
            payload = await asyncio.to_thread(unpacked, payload, limit) if large else unpacked(payload, limit)
            take(len(payload))
        payload = without_mark(payload)
        done = spool.append(payload, facts_of(payload, media))
        if done is None:
            raise busy(f"The spool of {name} is full: rows come faster than they are committed.")
        try:
            await self._durable(name, done)
        except OSError as error:
            raise Declined(
                503,
                f"The spool of {name} cannot be written: {error.strerror}.",
                "Nothing was taken. Send it again after Retry-After seconds; see `hotfire doctor`.",
                {"Retry-After": RETRY_S},
            ) from error
        count = lines(payload)
        self._meters.accepted(name, len(payload), count)
        return json({"stream": name, "accepted": {"bytes": len(payload), "lines": count}}, 202)

    async def _received(self, request: Request, take: Callable[[int], None]) -> bytes:
        """The whole body, as it came."""
        limits, chunks, size = self._limits, list[bytes](), 0
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for chunk in request.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    take(len(chunk))
                    if size > limits.body_bytes:
                        raise too_large(limits.body_bytes)
        except TimeoutError as error:
            what = f"The body was not there after {limits.body_seconds:g} s."
            do = "Nothing was taken. Send less at once."
            raise Declined(408, what, do, {"Connection": "close"}) from error
        except ClientDisconnect as error:
            raise Declined(400, "The body ended early.", "Nothing was taken. Send it again.") from error
        return b"".join(chunks)

    async def _durable(self, name: str, done: Future[None]) -> None:
        """Wait for an fsync; those who share it share one hop between the threads."""
        if done.done():
            return done.result()
        shared = self._shared.get(name)
        if shared is None or shared[0] is not done:
            shared = self._shared[name] = (done, asyncio.wrap_future(done))
        await asyncio.shield(shared[1])
        return None


class _Memory:
    """What all requests may hold together, in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used = limit, 0

    @contextmanager
    def lease(self) -> Iterator[Callable[[int], None]]:
        """What takes more of it for one request, and declines where there is no more; all is given back at the end."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            taken += size
            self._used += size
            if self._used > self._limit:
                raise busy("Too much is being received at once.")

        try:
            yield take
        finally:
            self._used -= taken


def _form(headers: Headers) -> tuple[str, bool]:
    """The media type of a request, and whether it is compressed. Raises Declined where it is another than is taken."""
    media, _, parameters = headers.get("content-type", "").lower().partition(";")
    media, charset = media.strip(), _charset(parameters)
    if (media and media not in MEDIA) or charset not in _CHARSETS:
        what = f"The content type {headers['content-type']} is not taken."
        raise Declined(415, what, "Send JSON lines in UTF-8 as application/x-ndjson.", {"Accept": MEDIA[0]})
    encoding = headers.get("content-encoding", "identity").lower().strip()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        what = f"The content encoding {encoding} is not taken."
        raise Declined(415, what, "Send it as it is, or as gzip.", {"Accept-Encoding": "gzip"})
    return media, "gzip" in encoding


def _charset(parameters: str) -> str:
    found: dict[str, Any] = dict(one.strip().partition("=")[::2] for one in parameters.split(";"))
    return str(found.get("charset", "utf-8")).strip('" ')
