"""A real server on loopback over a real spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hotfire.testing.site import Site
from hotfire.testing.site import site as served


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for all tests of a module that want nothing special."""
    with served(tmp_path_factory.mktemp("shared")) as here:
        yield here


@pytest.fixture
def here(shared: Site) -> Site:
    """The shared server, as if its spool were new."""
    return replace(shared, begin=shared.spool.end)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes servers that end with the test; arguments as of `hotfire.testing.site`."""
    with ExitStack() as ends:

        def made(*wanted: Any, **named: Any) -> Site:
            return ends.enter_context(served(tmp_path / "spool" / "events", *wanted, **named))

        yield made
