"""Lines to a hotfire server: JSON lines by HTTP, in order, again until they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import stamina

from hotfire.errors import Outage, UserError

REQUEST_BYTES = 512 << 10
"""A request has at most so many bytes, or one line."""

PATIENCE_S = 300.0
"""So long the same lines are sent again before it is given up."""

_TIMEOUT_S = 60.0
_LONGEST_WAIT_S = 30.0
_LATER = (408, 429, 500, 502, 503, 504)
_FORM = "Write it as http://127.0.0.1:8440."
_PATH = "/api/v1/ingest/"


class _NotNow(Exception):
    """The server asks to come again, after so many seconds if it says so."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(_said(response))
        try:
            self.after_s: float | None = min(float(response.headers["retry-after"]), _LONGEST_WAIT_S)
        except (KeyError, ValueError):
            self.after_s = None


@contextmanager
def pushing(
    url: str, stream: str, token: str | None, stopped: Callable[[], bool], patience_s: float = PATIENCE_S
) -> Iterator[Push]:
    """A server that takes lines for a stream. See `Push`."""
    place = url if _PATH in url else url.rstrip("/") + _PATH + stream
    headers = {"Content-Type": "application/x-ndjson"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        parsed = httpx.URL(place)
    except httpx.InvalidURL as error:
        raise UserError(f"{url} is no address of a server: {error}.", _FORM) from error
    if not parsed.host or (parsed.port or 0) > 65_535:
        raise UserError(f"{url} is no address of a server.", _FORM)
    # Proxies of the environment are for the world outside; what is pushed goes to the server that was named.
    with httpx.Client(headers=headers, timeout=_TIMEOUT_S, trust_env=False) as client:
        yield Push(client, parsed, stopped, patience_s)


class Push:
    """Posts lines one request after the other, so that they arrive in order.

    A request that is not acknowledged is sent again: at once where the connection broke, later where the server asks
    for that. Lines of a request whose acknowledgement was lost may arrive twice; hotfire knows them for duplicates.

    Attributes:
        rows: how many lines were acknowledged.
    """

    def __init__(
        self, client: httpx.Client, url: httpx.URL, stopped: Callable[[], bool], patience_s: float = PATIENCE_S
    ) -> None:
        stamina.instrumentation.set_on_retry_hooks([])  # they would write to standard output
        self._client, self._url, self._stopped, self._patience_s = client, url, stopped, patience_s
        self.rows = 0

    def take(self, lines: bytes, rows: int) -> bool:
        """Send whole lines. See `Target.take`."""
        del rows
        for request in _requests(lines):
            if self._stopped():
                return False
            try:
                self.rows += self._acknowledged(request)
            except (httpx.TransportError, _NotNow) as error:
                if self._stopped():
                    return False
                raise Outage(
                    f"{self._url} took nothing for {self._patience_s:g} s: {str(error) or type(error).__name__}.",
                    f"{self.rows:,} rows were acknowledged. Is `hotfire up` running there?",
                ) from error
        return True

    def _acknowledged(self, request: bytes) -> int:
        """How many lines the server has acknowledged."""

        def post() -> httpx.Response:
            answer = self._client.post(self._url, content=request)
            if answer.status_code in _LATER:
                raise _NotNow(answer)
            return answer

        again = stamina.retry(
            on=self._again, attempts=None, timeout=self._patience_s, wait_initial=0.05, wait_max=2.0, wait_jitter=0.2
        )
        response = again(post)()
        if not response.is_success:
            raise UserError(f"{self._url} does not take the rows: {_said(response)}", _advice(response))
        return request.count(b"\n")

    def _again(self, error: Exception) -> bool | float:
        """Whether the same request is sent again, or after how many seconds."""
        if self._stopped():
            return False
        if isinstance(error, _NotNow) and error.after_s is not None:
            return error.after_s
        return isinstance(error, _NotNow | httpx.TransportError)


def _requests(lines: bytes) -> Iterator[bytes]:
    """The lines in pieces of bounded size, cut between lines."""
    at = 0
    while at < len(lines):
        end = at + REQUEST_BYTES
        if end < len(lines):
            last = lines.rfind(b"\n", at, end) + 1
            end = last or lines.index(b"\n", end) + 1
        yield lines[at:end]
        at = end


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(response: httpx.Response) -> str:
    return f"{response.status_code} {_document(response).get('error', response.reason_phrase)}"


def _advice(response: httpx.Response) -> str:
    if response.status_code in (401, 403):
        return "Give a token of the role operator: --token, or the environment variable HOTFIRE_TOKEN."
    return str(_document(response).get("do", "Look at the address and the name of the stream."))
