"""Sizes as people write them: `64 MiB`, `1.5 GB`."""

from __future__ import annotations

import re

from hotfire.errors import ContractError

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_FORM = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([A-Za-z]+)")


def size_bytes(text: object) -> int:
    """A size in bytes: `64 MiB` is 67,108,864. Raises ContractError where it is not one, or none at all."""
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[2] not in _UNITS or float(found[1]) * _UNITS[found[2]] < 1:
        raise ContractError(f"{text!r} is not a size", "write a number and a unit, such as `64 MiB` or `10 MB`")
    return int(float(found[1]) * _UNITS[found[2]])
