"""Requests to a web API: tried again where that may help, bounded in time and size, and nobody else is ever asked."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin, urlsplit

import stamina
from msgspec import Struct

from hotfire.errors import HotfireError, Outage, UserError

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.source.rest.settings import RestSettings

T = TypeVar("T")
LONGEST_REST_S = 60.0
"""A server that asks to be left alone for longer is left alone: the poll ends."""

_LATER = frozenset({408, 425, 429})
_BLOCK = 1 << 16
_FIRST_WAIT_S, _LONGEST_WAIT_S, _JITTER_S = 0.1, 5.0, 0.1
_LINK = re.compile(r'<([^>]*)>[^,]*;\s*rel="?next"?')


class LeftAlone(Outage):
    """The server asks to be left alone."""


class Answer(Struct, frozen=True):
    """What came to one request.

    Attributes:
        etag: names this content; empty where the server does not say.
        next: the address of the next page; empty where there is none.
        unchanged: nothing came, because the content is still the one that the request has named.
    """

    body: bytes
    etag: str = ""
    next: str = ""
    unchanged: bool = False


class Api:
    """One server. Redirects are not followed, and proxies are not looked for.

    Args:
        authorization: the header of that name; empty: there is none.

    Attributes:
        calls: how many requests were sent.
    """

    def __init__(self, settings: RestSettings, clock: Clock, authorization: str = "") -> None:
        stamina.instrumentation.set_on_retry_hooks([])  # they would write to standard output
        self._settings, self._clock = settings, clock
        base = urlsplit(settings.base_url)
        if base.scheme not in ("http", "https") or not base.hostname:
            raise UserError(f"The base_url {settings.base_url} is no address.", "Write it as https://api.example.com.")
        self._scheme, self._host, self._port = base.scheme, base.hostname, base.port
        self._left, self._authorization = settings.max_bytes, authorization
        self.calls = 0

    def begin(self) -> None:
        """A poll begins: `max_response` counts anew."""
        self._left = self._settings.max_bytes

    def get(self, path: str, read: Callable[[Answer], T], etag: str = "") -> T:
        """What `read` makes of the answer to a GET; it raises Outage where the same request is to be sent again.

        Args:
            path: behind the base URL, or a whole address on the same server.
            etag: of the content that is known already.

        Raises:
            Outage: no answer, or one that says to come back later.
            UserError: the server refuses the request.
        """
        return self._tried("GET", path, b"", {"If-None-Match": etag} if etag else {}, read)

    def post(self, path: str, body: bytes, read: Callable[[Answer], T]) -> T:
        """As `get`, with a JSON body."""
        return self._tried("POST", path, body, {"Content-Type": "application/json"}, read)

    def _tried(self, method: str, path: str, body: bytes, more: Mapping[str, str], read: Callable[[Answer], T]) -> T:
        url = self._address(path)
        again = stamina.retry(
            on=_again,
            attempts=self._settings.attempts,
            timeout=None,
            wait_initial=_FIRST_WAIT_S,
            wait_max=_LONGEST_WAIT_S,
            wait_jitter=_JITTER_S,
        )
        return again(lambda: read(self._asked(method, url, body, more)))()

    def _address(self, path: str) -> str:
        if "://" not in path:
            return self._settings.base_url.rstrip("/") + "/" + path.lstrip("/")
        found = urlsplit(path)
        if (found.scheme, found.hostname, found.port) != (self._scheme, self._host, self._port):
            raise UserError(f"{self._settings.base_url} leads to another server: {path}", "Only the one set is asked.")
        return path

    def _asked(self, method: str, url: str, body: bytes, more: Mapping[str, str]) -> Answer:
        """One request and its answer."""
        headers = {"Accept": "application/json", "User-Agent": "hotfire", **more}
        if self._authorization:
            headers["Authorization"] = self._authorization
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        until_ns = self._clock.now_ns() + int(self._settings.timeout_s * 1e9)
        self.calls += 1
        try:
            with closing(self._connection()) as connection:
                connection.request(method, target, body or None, headers)
                with closing(connection.getresponse()) as response:
                    content = self._content(url, response, until_ns)
        except (OSError, http.client.HTTPException) as error:
            trouble = str(error) or type(error).__name__
            raise Outage(
                f"{url} cannot be reached: {trouble}.", "Nothing was done; the next poll asks again."
            ) from error
        if response.status == 304:
            return Answer(b"", headers.get("If-None-Match", ""), unchanged=True)
        if response.status != 200:
            raise self._refusal(url, response, content)
        link = _LINK.search(response.getheader("Link") or "")
        return Answer(content, response.getheader("ETag") or "", urljoin(url, link[1]) if link else "")

    def _connection(self) -> http.client.HTTPConnection:
        timeout_s = self._settings.timeout_s
        if self._scheme == "http":
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=timeout_s, context=ssl.create_default_context()
        )

    def _content(self, url: str, response: http.client.HTTPResponse, until_ns: int) -> bytes:
        """The whole body, in time and within bounds."""
        expected, blocks, size = response.length, [b""], 0
        while block := response.read1(_BLOCK):
            blocks.append(block)
            size += len(block)
            if size > self._left:
                limit = self._settings.max_response
                raise UserError(f"{url} answers with more than {limit}.", "Set a greater max_response, if it should.")
            if self._clock.now_ns() > until_ns:
                raise TimeoutError(f"no whole answer within {self._settings.timeout}")
        if expected is not None and size != expected:
            raise http.client.HTTPException(f"the answer ends after {size:,} of {expected:,} bytes")
        if response.status == 200:
            self._left -= size
        return b"".join(blocks)

    def _refusal(self, url: str, response: http.client.HTTPResponse, content: bytes) -> HotfireError:
        """What an answer means that brings nothing."""
        code = response.status
        what = f"{url} answers {code} {response.reason}{_excerpt(content)}."
        if code in (429, 503) and (rest := response.getheader("Retry-After")) is not None:
            return LeftAlone(what, "It asks to be left alone for a while.", after_s=self._rest_s(rest))
        if code == 429:
            return LeftAlone(what, "Poll it less often: `every`.")
        if code >= 500 or code in _LATER:
            return Outage(what, "Nothing was done; the next poll asks again.")
        do = "Look at base_url and the paths of the stream's source."
        if 300 <= code < 400:
            do = "Redirects are not followed: set base_url to where it leads."
        elif code in (401, 403):
            do = "Look at `authorization` of the stream's source."
        return UserError(what, do)

    def _rest_s(self, text: str) -> float:
        """How long the server asks to be left alone, from seconds or a date; 0 where it cannot be told."""
        if re.fullmatch(r"[0-9]{1,9}", text.strip()):
            return float(text)
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, until.timestamp() - self._clock.now_ns() / 1e9)


def _again(error: Exception) -> bool | float:
    """Whether the same request is sent again, or after how many seconds."""
    if isinstance(error, LeftAlone) and error.after_s:
        return error.after_s if error.after_s <= LONGEST_REST_S else False
    return isinstance(error, Outage)


def _excerpt(content: bytes) -> str:
    """The beginning of a body, on one line."""
    text = " ".join(content[:300].decode("utf-8", "replace").split())
    shown = "".join(sign for sign in text if sign.isprintable())
    return f": {shown}" if shown else ""
