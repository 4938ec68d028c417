"""Detectors: pure judges of rows, one file each. What rules name is here; how rules are written is in `rules.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from hotfire.detect.expression import Expression
from hotfire.detect.limit import Limit
from hotfire.detect.no_data import NoData
from hotfire.detect.rate_of_change import RateOfChange
from hotfire.detect.stuck import Stuck

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotfire.detect.model import Rule

    AnyDetector: TypeAlias = Limit | RateOfChange | Stuck | NoData | Expression

DETECTORS: Mapping[str, Callable[[Rule], AnyDetector]] = {
    "limit": Limit,
    "rate_of_change": RateOfChange,
    "stuck": Stuck,
    "no_data": NoData,
    "expression": Expression,
}
"""Every detector that a rule can name; each implements `protocols.Detector`."""
