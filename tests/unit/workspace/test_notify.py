"""`[[notify]]` and `[[maintenance]]`: read as strictly as every setting, and made into routes and notifiers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import structlog

from hotfire.alarm.notices import TOLD, Maintenance, Route
from hotfire.errors import SettingsError, UserError
from hotfire.notify.apprise import AppriseNotifier
from hotfire.notify.log import LogNotifier
from hotfire.testing.clocks import ManualClock
from hotfire.testing.outbox_suite import notice
from hotfire.testing.receiver import receiver
from hotfire.workspace.keys import CHOICES
from hotfire.workspace.notify import NOTIFIERS, notifiers, routing
from hotfire.workspace.settings import load

WRITTEN = """
[workspace]
name = "stand 4"

[[notify]]
name = "ops"
kind = "webhook"
url = "${HOOK}"
secret = "${SIGNS}"
min_severity = "critical"
assets = ["TRE-00?", "TRE-1*"]
events = ["TRIGGERED", "CLEARED"]

[[notify]]
name = "everything"
kind = "log"

[[maintenance]]
streams = "engine_*"
since = 2026-06-01T06:00:00Z
until = 2026-06-01T18:00:00+02:00
reason = "valve change"

[[maintenance]]
since = "2026-07-01T00:00:00Z"
until = "2026-07-02T00:00:00Z"
"""
HOOK = {"HOOK": "https://hooks.example/t0ken", "SIGNS": "swordfish"}


@pytest.fixture
def ws(tmp_path: Path) -> Path:
    (tmp_path / "hotfire.toml").write_text(WRITTEN, "utf-8")
    return tmp_path


def only(ws: Path, text: str) -> Path:
    (ws / "hotfire.toml").write_text(text, "utf-8")
    return ws


def test_tables_become_routes_and_windows(ws: Path) -> None:
    """In the order of the file, with the defaults of what is not set."""
    found = routing(load(ws, HOOK, {}))
    assert found.workspace == "stand 4"
    assert found.routes == (
        Route("ops", "critical", assets=("TRE-00?", "TRE-1*"), what=("TRIGGERED", "CLEARED")),
        Route("everything", "watch", ("*",), ("*",), ("*",), TOLD),
    )
    hour_ns = 3600 * 1_000_000_000
    since_ns = 1_780_272_000_000_000_000 + 6 * hour_ns
    first = Maintenance(since_ns, since_ns + 10 * hour_ns, ("engine_*",), ("*",), "valve change")
    assert found.maintenance[0] == first
    assert len(found.maintenance) == 2


def test_entries_are_reached_by_name_and_number(ws: Path) -> None:
    """A variable changes one setting of an entry, or makes one; the others stay as in the file."""
    environment = {
        **HOOK,
        "HOTFIRE_NOTIFY__OPS__MIN_SEVERITY": "severe",
        "HOTFIRE_NOTIFY__LAB__KIND": "log",
        "HOTFIRE_MAINTENANCE__2__REASON": "holiday",
    }
    found = load(ws, environment, {})
    assert [(one.name, one.min_severity) for one in found.notify.values()] == [
        ("ops", "severe"),
        ("everything", "watch"),
        ("lab", "watch"),
    ]
    assert found.notify["ops"].assets == ("TRE-00?", "TRE-1*")
    assert [one.reason for one in found.maintenance] == ["valve change", "holiday"]


def test_an_entry_can_be_one_variable(ws: Path) -> None:
    """Written as in TOML; what it does not say stays as in the file."""
    found = load(ws, {**HOOK, "HOTFIRE_NOTIFY__OPS": '{min_severity = "watch", rules = ["*.limit"]}'}, {})
    ops = found.notify["ops"]
    assert (ops.min_severity, ops.rules, ops.assets) == ("watch", ("*.limit",), ("TRE-00?", "TRE-1*"))


def test_secrets_are_never_shown(ws: Path) -> None:
    """References stay references wherever settings are printed; what was written out is starred."""
    shown = repr(load(ws, HOOK, {}))
    assert "t0ken" not in shown
    assert "swordfish" not in shown
    assert "${HOOK}" in shown
    written = only(ws, '[[notify]]\nname = "a"\nkind = "apprise"\nurl = "slack://t0ken/a"\n')
    found = load(written, {}, {})
    assert "t0ken" not in repr(found)
    assert found.notify["a"].url is not None
    assert found.notify["a"].url.reveal() == "slack://t0ken/a"


OPS = '[[notify]]\nname = "ops"\n'
HOUR = "[[maintenance]]\nsince = 2026-06-01T06:00:00Z\nuntil = 2026-06-01T07:00:00Z\n"
MISTAKES: list[tuple[str, Mapping[str, str], str, str]] = [
    ("notify = 'x'", {}, "notify is not a list of tables", "Write [[notify]] above each"),
    ("[notify.ops]\nkind = 'log'", {}, "notify is not a list of tables", "[[notify]]"),
    ("[[notify]]\nkind = 'log'", {}, "entry 1 of notify has no name", "name ="),
    ("[[notify]]\nname = 5", {}, "entry 1 of notify has no name", "name ="),
    (f"{OPS}kind='log'\n{OPS}kind='log'", {}, "notify has two entries 'ops'", "another name"),
    ("[[notify]]\nname = 'A b'\nkind = 'log'", {}, "'A b' cannot be the name of a notify", "a-z, 0-9 and _"),
    (OPS, {}, "hotfire.toml: notify.ops has no kind", "Known: webhook, apprise, log."),
    (f"{OPS}kind = 'webhok'", {}, "notify.ops.kind is 'webhok'", "Did you mean webhook?"),
    (f"{OPS}kind = 'webhook'", {}, "notify.ops has no url", "${NAME}"),
    (f"{OPS}kind = 'apprise'", {}, "notify.ops has no url", "${NAME}"),
    (f"{OPS}kind = 'webhook'\nurl = 'ftp://t0ken'", {}, "notify.ops.url is no address", "https://"),
    (f"{OPS}kind = 'log'\nurl = 'https://t0ken'", {}, "notify.ops is of kind log, which takes no url", ""),
    (f"{OPS}kind = 'apprise'\nurl = 'x://'\nsecret = 't0ken'", {}, "is of kind apprise, which takes no secret", ""),
    (f"{OPS}kind = 'log'\nmin_severity = 'critcal'", {}, "notify.ops.min_severity is 'critcal'", "mean critical?"),
    (f"{OPS}kind = 'log'\nevents = ['TRIGERED']", {}, "notify.ops.events is 'TRIGERED'", "Did you mean TRIGGERED?"),
    (f"{OPS}kind = 'log'\nurll = 'x'", {}, "there is no setting 'notify.ops.urll'", "Did you mean notify.ops.url?"),
    (f"{OPS}kind = 'log'\nassets = 5", {}, "notify.ops.assets is 5, not a text or a list of texts", ""),
    (f"{OPS}kind = 'webhook'\nurl = '${{NIX}}'", {}, "refers to ${NIX}, which is not set", "export NIX="),
    ("", {"HOTFIRE_NOTIFY__OPS__KIND": "logg"}, "variable HOTFIRE_NOTIFY__OPS__KIND: notify.ops.kind", "mean log?"),
    ("", {"HOTFIRE_NOTIFY__OPS__URL": "https://x"}, "variable HOTFIRE_NOTIFY__OPS__URL: notify.ops has no kind", ""),
    ("", {"HOTFIRE_NOTIFY__OPS-1__KIND": "log"}, "'ops-1' cannot be the name", "a-z, 0-9 and _"),
    ("", {"HOTFIRE_NOTIFY": "t0ken"}, "HOTFIRE_NOTIFY is no setting", ""),
    ("[[maintenance]]\nuntil = 2026-06-01T06:00:00Z", {}, "maintenance.1 has no since", "since ="),
    ("[[maintenance]]\nsince = 2026-06-01T06:00:00Z", {}, "maintenance.1 has no until", "until ="),
    (f"{HOUR}{HOUR.replace('07:00', '06:00')}", {}, "maintenance.2 ends before it begins", "since and until"),
    ("[[maintenance]]\nsince = 2026-06-01T06:00:00", {}, "with a zone", ""),
    (f"{HOUR}unitl = 1", {}, "there is no setting 'maintenance.1.unitl'", "maintenance.1.until?"),
    ("", {"HOTFIRE_MAINTENANCE__X__SINCE": "2026-06-01T06:00:00Z"}, "maintenance.x is none", "numbers"),
]


@pytest.mark.parametrize(("toml", "environment", "what", "do"), MISTAKES, ids=[one[2] for one in MISTAKES])
def test_a_mistake_is_named(ws: Path, toml: str, environment: Mapping[str, str], what: str, do: str) -> None:
    """With its place, which entry it is and what was meant; without what may be a secret."""
    with pytest.raises(SettingsError) as caught:
        load(only(ws, toml), environment, {})
    assert what in caught.value.what
    assert do in caught.value.do
    assert "t0ken" not in caught.value.what + caught.value.do


def test_every_kind_can_be_made() -> None:
    """What can be set is what can be told."""
    assert set(NOTIFIERS) == {*CHOICES["notify", "*", "kind"]}


def test_a_webhook_has_its_address_and_signature(ws: Path) -> None:
    """As set, with the references resolved."""
    with receiver() as server:
        environment = {"HOOK": server.url, "SIGNS": "swordfish"}
        made = notifiers(load(ws, environment, {}), ManualClock(), structlog.get_logger())
        with closing(made["ops"]) as webhook:
            webhook.send(notice(1))
    assert server.requests[0].headers["hotfire-signature"].startswith("t=1780272000,v1=")
    assert list(made) == ["ops", "everything"]
    assert isinstance(made["everything"], LogNotifier)


@pytest.mark.skipif(not find_spec("apprise"), reason="no apprise: make setup")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_apprise_has_its_url(ws: Path) -> None:
    """A service that it does not know is refused when it is made, with the name of the target."""
    settings: Any = load(only(ws, f"{OPS}kind = 'apprise'\nurl = 'json://127.0.0.1'"), {}, {})
    assert isinstance(notifiers(settings, ManualClock(), None)["ops"], AppriseNotifier)
    with pytest.raises(UserError, match=r"notify\.ops"):
        notifiers(load(only(ws, f"{OPS}kind = 'apprise'\nurl = 'nix://x'"), {}, {}), ManualClock(), None)
