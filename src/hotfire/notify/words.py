"""A notice in words, for where people read it; and what the answers of services mean."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from hotfire.alarm.flood import SUMMARY
from hotfire.alarm.notices import Notice


class Words(NamedTuple):
    """A line to know it by, and everything else; the text may be empty."""

    title: str
    text: str


def in_words(notice: Notice) -> Words:
    """What a notice says."""
    data = told(notice)
    if notice.what == SUMMARY:
        return Words(f"[{notice.severity}] {data['message']}", "`hotfire alarm list` shows them all.")
    event = notice.what.lower().replace("_", " ")
    return Words(f"[{notice.severity}] {data['asset']} {data['rule']}: {event}", "\n".join(_lines(data)))


def told(notice: Notice) -> dict[str, Any]:
    """The fields of the alarm, or of the summary."""
    data: dict[str, Any] = msgspec.json.decode(notice.body)["data"]
    return data


def is_final(code: int) -> bool:
    """Whether an HTTP status says that the same again will not help: 4xx, but for 408 and 429."""
    return 400 <= code < 500 and code not in {408, 429}


def redacted(text: str, address: str) -> str:
    """The text without any part of an address that may be a secret."""
    parts = {part for one in (address, unquote(address)) for part in re.split(r"[/:@?&=,;]+", one) if len(part) > 3}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _lines(data: dict[str, Any]) -> list[str]:
    value = "" if data["value"] is None else f"{data['channel']} {data['value']:g}"
    limit = "" if data["limit"] is None else f" (limit {data['limit']:g})"
    returned = f", returned {data['returned_at']}" if data["returned_at"] else ""
    by = f"{data['who']}: {data['comment']}" if data["comment"] else ""
    named = [f"{name}: {data[name]}" for name in ("runbook", "owner", "alarm_id") if data[name]]
    raised = f"raised {data['raised_at']}{returned}" if data["raised_at"] else ""
    lines = [data["message"], value and f"{value}{limit}".strip(), raised, by, *named]
    return [line for line in lines if line]
