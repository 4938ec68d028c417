"""Detectors: pure judges of rows, one file each. What rules name is here; how rules are written is in `rules.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hotfire.detect.expression import Expression
from hotfire.detect.limit import Limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotfire.detect.model import Rule
    from hotfire.protocols import Detector

DETECTORS: Mapping[str, Callable[[Rule], Detector]] = {
    "limit": Limit,
    "expression": Expression,
}
"""Every detector that a rule can name."""
