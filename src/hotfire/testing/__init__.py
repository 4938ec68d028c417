"""Real parts for tests, the suites that every implementation of a protocol must pass, and `backtest` for tests of rules."""

from __future__ import annotations

from hotfire.engine.backtest import Backtest
from hotfire.testing.backtests import backtest

__all__ = ["Backtest", "backtest"]
