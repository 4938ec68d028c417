"""Notices by e-mail, Slack, Teams, PagerDuty and whatever else the library apprise can reach. An extra: `hotfire[apprise]`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hotfire.errors import Outage, UserError
from hotfire.notify.words import in_words, is_final, redacted

if TYPE_CHECKING:
    from hotfire.alarm.notices import Notice

TIMEOUT_S = 10.0

_GOOD = frozenset({"RTN", "CLEARED"})
_ANSWERED = re.compile(r"\berror=(\d{3})\b")
"""How apprise's log gives the HTTP status that a service has answered with."""


class AppriseNotifier:
    """Sends each notice in words to one service. Implements `protocols.Notifier`.

    Services know no idempotency keys: after a crash the same words may come twice. apprise tells only in its log why a
    service refused: where that says 4xx, as for a token that is wrong, the notice is given up, but for 408 and 429.
    Everything else is tried again.

    Args:
        name: of the target.
        url: of a service, as https://github.com/caronc/apprise writes it; a secret.

    Raises:
        UserError: apprise is not installed, or knows no such service.
    """

    def __init__(self, name: str, url: str, timeout_s: float = TIMEOUT_S) -> None:
        try:
            import apprise
        except ModuleNotFoundError:
            raise UserError(
                f"notify.{name} needs the library apprise, which is not installed.", "pip install 'hotfire[apprise]'"
            ) from None
        self._name, self._url = name, url
        asset = apprise.AppriseAsset(
            app_id="hotfire", app_desc="hotfire", app_url="", image_url_mask="", image_url_logo="", async_mode=False,
            http_redirects=False, service_timeout=timeout_s,
        )  # fmt: skip
        self._service = apprise.Apprise(asset=asset)
        if not self._service.add(url):
            raise UserError(
                f"notify.{name}: apprise knows no service with such a url.",
                "Look up how it is written: https://github.com/caronc/apprise/wiki",
            )

    def send(self, notice: Notice) -> None:
        """See `protocols.Notifier`."""
        words, said = in_words(notice), list[str]()
        taken = self._service.notify(
            words.text or words.title,
            words.title,
            notify_type="success" if notice.what in _GOOD else "failure",
            body_format="text",
            log_callback=lambda line, _: said.append(line.message),
        )
        if not taken:
            trouble = redacted(said[-1] if said else "the service did not take it", self._url)
            codes = [int(code) for line in said for code in _ANSWERED.findall(line)]
            if codes and all(is_final(code) for code in codes):
                do = f"Look at the url of notify.{self._name}: this notice is given up."
                raise UserError(f"notify.{self._name} refuses: {trouble}", do)
            raise Outage(f"notify.{self._name} cannot be reached: {trouble}", "It is tried again.")

    def close(self) -> None:
        """Nothing is held."""
