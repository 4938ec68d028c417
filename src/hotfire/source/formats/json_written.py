"""One value of a JSON record as it is written: `007` is not `7`, and `1e999` no infinity."""

from __future__ import annotations

import msgspec

from hotfire.source.formats.json_slow import BOM

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


def written(record: bytes, path: str) -> str | None:
    """The value under a dotted path, a text without its quotes; None where the record has none there."""
    found = record.removeprefix(BOM)
    try:
        for key in path.split("."):
            member = _MEMBERS.decode(found).get(key)
            if member is None:
                return None
            found = bytes(member).strip()
        return _TEXT.decode(found) if found.startswith(b'"') else found.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
