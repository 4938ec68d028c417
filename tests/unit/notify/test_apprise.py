"""Notices through apprise, to a real server on loopback, where the extra is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec

import pytest

from hotfire.alarm.notices import Notice, envelope
from hotfire.errors import Outage, UserError
from hotfire.notify.apprise import AppriseNotifier
from hotfire.notify.words import in_words
from hotfire.testing.receiver import Reply, receiver

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise looks for it
installed = pytest.mark.skipif(not find_spec("apprise"), reason="no apprise: make setup")


def notice(what: str = "TRIGGERED") -> Notice:
    data = {"alarm_id": "a1", "rule": "p.limit", "asset": "TRE-003", "channel": "p", "severity": "critical"}
    data |= {"message": "p 310 above 300", "raised_at": "2026-06-01T00:00:00Z", "value": 310, "limit": 300}
    data |= dict.fromkeys(("returned_at", "runbook", "owner", "comment", "who"), "")
    return Notice("k", "ops", "a1", what, "critical", envelope("k", "/w/s", what, "2026-06-01T00:00:00Z", data), 0)


@installed
@pytest.mark.parametrize(("what", "kind"), [("TRIGGERED", "failure"), ("CLEARED", "success")])
def test_a_notice_is_sent_in_words(what: str, kind: str) -> None:
    """Title and text, and whether it is good news."""
    with receiver() as server, closing(AppriseNotifier("ops", f"json://127.0.0.1:{server.port}/hook")) as notifier:
        notifier.send(notice(what))
    (request,) = server.requests
    said = json.loads(request.body)
    assert (said["title"], said["message"], said["type"]) == (*in_words(notice(what)), kind)


@installed
@pytest.mark.parametrize("reply", [Reply(500), Reply(429), Reply(307, {"Location": "/x"}), Reply(hang=True)])
def test_whatever_fails_may_work_later(reply: Reply, capfd: pytest.CaptureFixture[str]) -> None:
    """Where nobody says that it never will. The url is not repeated, nothing is printed, no redirect followed."""
    with receiver(reply) as server:
        url = f"json://s3cr3t:pa55word@127.0.0.1:{server.port}/t0ken"
        notifier = AppriseNotifier("ops", url, timeout_s=0.5)
        with pytest.raises(Outage, match=r"notify\.ops cannot be reached: .") as caught:
            notifier.send(notice())
        notifier.send(notice())
    assert len(server.requests) == 2
    assert not [part for part in ("s3cr3t", "pa55word", "t0ken") if part in caught.value.what]
    assert capfd.readouterr() == ("", "")


@installed
@pytest.mark.parametrize("code", [401, 403, 404])
def test_what_a_service_refuses_is_final(code: int) -> None:
    """A wrong token stays wrong: the library's log says what was answered. The url is not repeated."""
    with receiver(Reply(code)) as server:
        notifier = AppriseNotifier("ops", f"json://127.0.0.1:{server.port}/t0ken")
        with pytest.raises(UserError, match=rf"notify\.ops refuses: .*error={code}") as caught:
            notifier.send(notice())
    assert "t0ken" not in caught.value.what + caught.value.do
    assert caught.value.do == "Look at the url of notify.ops: this notice is given up."


@installed
def test_a_url_that_apprise_does_not_know(capfd: pytest.CaptureFixture[str]) -> None:
    """Is refused at once, and not repeated."""
    with pytest.raises(UserError) as caught:
        AppriseNotifier("ops", "nix://t0ken@host")
    assert "notify.ops" in caught.value.what
    assert "t0ken" not in caught.value.what + "".join(capfd.readouterr())


WITHOUT = """
import sys
sys.modules["apprise"] = None
from hotfire.errors import UserError
from hotfire.notify.apprise import AppriseNotifier
try:
    AppriseNotifier("ops", "json://host")
except UserError as error:
    print(error.what, error.do, sep="|")
"""


def test_without_the_extra_the_way_to_it_is_named() -> None:
    """A python that has no apprise says what to install."""
    said = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True).stdout
    assert said == "notify.ops needs the library apprise, which is not installed.|pip install 'hotfire[apprise]'\n"
