"""How readings are written: instants, and rows as lines of cells or JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from hotfire.simulate.model import Form, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def written(instants: NDArray[np.int64], decimals: int) -> pl.Series:
    """Instants as ISO 8601 with so many decimals: 3 or 9."""
    return pl.Series(instants).cast(pl.Datetime("ns")).dt.to_string(f"%Y-%m-%dT%H:%M:%S%.{decimals}fZ")


def decimals(request: Request) -> int:
    """How many decimals of a second its instants need, 3 or 9."""
    return 3 if (1000 / request.rate).denominator == 1 and request.start_ns % 1_000_000 == 0 else 9


def as_lines(form: Form, columns: Iterable[str | pl.Expr] = ("*",), separator: str = ",") -> pl.Expr:
    """Columns of a frame, all if none are named, as one line a row.

    In cells, what is not there is empty; in JSON it is null.
    """
    named = [pl.col(one) if isinstance(one, str) else one for one in columns]
    if form == "jsonl":
        return pl.struct(named).struct.json_encode()
    return pl.concat_str([one.cast(pl.String).fill_null("") for one in named], separator=separator)
