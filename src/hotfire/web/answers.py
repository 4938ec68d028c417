"""What the server answers when it declines: always JSON, always with what to do, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

RETRY_S = "2"
"""What `Retry-After` says, in seconds: a spool is emptied many times faster than it is filled."""


class Declined(HTTPException):
    """A request that cannot be granted.

    Args:
        what: what is wrong, in one sentence.
        do: what its sender can do.
    """

    def __init__(self, status: int, what: str, do: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, what, dict(headers or {}))
        self.do = do


def json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document."""
    return Response(msgspec.json.encode(content), status, headers, "application/json")


def busy(what: str) -> Declined:
    """429: there is no room for more at present."""
    return Declined(429, what, "Nothing was taken. Send it again after Retry-After seconds.", {"Retry-After": RETRY_S})


async def declined(request: Request, error: Exception) -> Response:
    """The answer to a request that was declined, by an endpoint or by the router."""
    assert isinstance(error, HTTPException)
    do = error.do if isinstance(error, Declined) else "GET /api/v1/openapi.json says what there is."
    headers = dict(error.headers or {})
    if "expect" in request.headers:
        headers["Connection"] = "close"  # its body, for which it asked leave, will not come
    return json({"error": error.detail, "do": do}, error.status_code, headers)


async def failed(request: Request, error: Exception) -> Response:
    """The answer where the server itself is at fault. What went wrong stands in its log."""
    del request, error
    return json({"error": "The server failed.", "do": "Send it again; if that fails too, see the log."}, 500)
