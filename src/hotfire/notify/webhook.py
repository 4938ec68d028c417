"""Notices by HTTP: a signed CloudEvents request, as https://github.com/cloudevents/spec describes for webhooks."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from hotfire.errors import Outage, UserError
from hotfire.notify.words import is_final, redacted

if TYPE_CHECKING:
    from hotfire.alarm.notices import Notice
    from hotfire.clock import Clock

MEDIA = "application/cloudevents+json"
SIGNATURE = "Hotfire-Signature"
TIMEOUT_S = 10.0
LONGEST_REST_S = 3600.0
"""A target that asks to be left alone for longer is asked again after so long."""

_SHOWN_BYTES = 300


class Webhook:
    """Posts each notice to an address. Implements `protocols.Notifier`.

    Taken is what is answered with 2xx. 4xx is final, but for 408 and 429; everything else is tried again, redirects too,
    which are never followed: what an address is told may be told to no other.

    Args:
        name: of the target; the address itself is a secret.
        secret: signs each request (see `signature`); empty: none does.
        timeout_s: for connecting, writing and each read.

    Raises:
        UserError: the address is none.
    """

    def __init__(self, name: str, url: str, clock: Clock, secret: str = "", timeout_s: float = TIMEOUT_S) -> None:
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise UserError(f"The url of notify.{name} is none: {redacted(str(error), url)}.") from None
        self._name, self._clock, self._secret = name, clock, secret
        self._client = httpx.Client(timeout=timeout_s, headers={"Accept-Encoding": "identity", "User-Agent": "hotfire"})

    def send(self, notice: Notice) -> None:
        """See `protocols.Notifier`."""
        body = notice.body.encode()
        headers = {"Content-Type": MEDIA, "Idempotency-Key": notice.key}
        if self._secret:
            headers[SIGNATURE] = signature(self._secret, self._clock.now_ns() // 1_000_000_000, body)
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                if not response.is_success:
                    self._refuse(response)
        except httpx.TransportError as error:
            trouble = str(error) or type(error).__name__
            raise Outage(f"notify.{self._name} cannot be reached: {trouble}.", "It is tried again.") from error

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _refuse(self, response: httpx.Response) -> None:
        code = response.status_code
        said = redacted(_excerpt(response), self._url.raw_path.decode())
        what = f"notify.{self._name} answers {code} {response.reason_phrase}{said}."
        if is_final(code):
            raise UserError(what, f"Look at the url and the secret of notify.{self._name}: this notice is given up.")
        do = "It is tried again."
        if response.is_redirect:
            do = "Redirects are not followed: set the url to where it leads."
        raise Outage(what, do, after_s=self._rest_s(response.headers.get("Retry-After", "")))

    def _rest_s(self, text: str) -> float:
        """How long the target asks to be left alone, from seconds or a date; 0 where it does not say."""
        if re.fullmatch(r"[0-9]{1,9}", text.strip()):
            return min(float(text), LONGEST_REST_S)
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = until.timestamp() - self._clock.now_ns() / 1e9
        return min(max(0.0, seconds), LONGEST_REST_S)


def signature(secret: str, at_s: int, body: bytes) -> str:
    """`t=<seconds since 1970>,v1=<HMAC-SHA256 in hexadecimal of t, a full stop and the body>` (RFC 2104)."""
    mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


def _excerpt(response: httpx.Response) -> str:
    """The beginning of the answer's body, on one line; as much of it as came at once."""
    try:
        found = next(response.iter_raw(_SHOWN_BYTES), b"")
    except httpx.TransportError:
        found = b""
    text = " ".join(found.decode("utf-8", "replace").split())
    shown = "".join(sign for sign in text if sign.isprintable())
    return f": {shown}" if shown else ""
