"""The web application: its routes, and what it asks of the engine that runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from hotfire.source.spool.writer import Spool
from hotfire.web.access import Access, Addressed, Role, allowed
from hotfire.web.answers import Declined, declined, failed, json
from hotfire.web.ingest import Ingest, IngestLimits
from hotfire.web.meters import Meters, SpoolMeters

if TYPE_CHECKING:
    from starlette.requests import Request


class Engine(Struct, frozen=True):
    """What the server asks of the engine. Every function may be called at any time, from any thread.

    Attributes:
        ready: why rows would not come through at present, in a few words; empty where they would. Answers at once.
        streams: what is known of every stream, as JSON objects with at least `stream`, its name.
        registry: the engine's metrics; those of the server are added to it.
    """

    ready: Callable[[], str] = str
    streams: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)


def app(
    spools: Mapping[str, Spool],
    engine: Engine | None = None,
    access: Access | None = None,
    limits: IngestLimits | None = None,
) -> Starlette:
    """The application over the spools of those streams that take pushed rows, by their names.

    Args:
        access: see `access.access`; if None, everyone may do everything, under a loopback name.
    """
    asked, who = engine or Engine(), access or Access()
    asked.registry.register(SpoolMeters(spools))
    ingest = Ingest(spools, limits or IngestLimits(), Meters(asked.registry))

    async def healthz(request: Request) -> Response:
        del request
        return json({"alive": True})

    async def readyz(request: Request) -> Response:
        del request
        if why := asked.ready():
            raise Declined(503, why, "Ask again; `hotfire doctor` says more.")
        return json({"ready": True})

    async def metrics(request: Request) -> Response:
        del request
        return Response(await asyncio.to_thread(generate_latest, asked.registry), media_type=CONTENT_TYPE_LATEST)

    async def streams(request: Request) -> Response:
        del request
        return json({"streams": await asyncio.to_thread(asked.streams)})

    async def openapi(request: Request) -> Response:
        del request
        return Response(_document(), media_type="application/json")

    application = Starlette(
        routes=[
            Route("/api/v1/ingest/{stream}", allowed(Role.OPERATOR, ingest.post), methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", allowed(Role.VIEWER, metrics)),
            Route("/api/v1/openapi.json", allowed(Role.VIEWER, openapi)),
            Route("/api/v1/streams", allowed(Role.VIEWER, streams)),
        ],
        middleware=[Middleware(Addressed, who.hosts)],
        exception_handlers={HTTPException: declined, Exception: failed},
    )
    application.state.access = who
    return application


@cache
def _document() -> bytes:
    return (files("hotfire.web") / "openapi.json").read_bytes()
