"""The newest rows of assets, and those of a span of time, by the compound index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotfire.store.dialect import Dialect, quoted

if TYPE_CHECKING:
    from hotfire.contract.model import Contract


def latest(contract: Contract, dialect: Dialect) -> str:
    """The newest row of every asset of the stream `?`. One look-up an asset: the table itself is never sorted."""
    asset, time = (quoted(name) for name in contract.identity[:2])
    newest = dialect.newest.format(table=quoted(contract.stream), asset=asset, time=time)
    return f"SELECT t.* FROM hf_asset a {newest} WHERE a.stream = ? ORDER BY a.asset"


def window(contract: Contract) -> str:
    """The rows of asset `?` with event times in [`?`, `?`)."""
    asset, time = (quoted(name) for name in contract.identity[:2])
    return f"SELECT * FROM {quoted(contract.stream)} WHERE {asset} = ? AND {time} >= ? AND {time} < ? ORDER BY {time}"
