"""Where a PostgreSQL store is, and what of it people are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotfire.errors import SettingsError
from hotfire.store.postgresql_address import SCHEMA, Address, process, program
from hotfire.workspace.values import Secret


@pytest.mark.parametrize(
    ("url", "schema", "shown"),
    [
        ("postgresql://mia@db/plant", SCHEMA, "postgresql://mia@db/plant"),
        ("postgres://mia:s3cret@db:5433/plant?schema=line_2", "line_2", "postgres://mia@db:5433/plant?schema=line_2"),
        ("postgresql://a:s3cret@h1,h2:5433/p?target_session_attrs=read-write", SCHEMA, "postgresql://a@h1,h2:5433/p"),
        ("postgresql:///plant?host=/run/pg&password=s3cret", SCHEMA, "postgresql:///plant?host=/run/pg"),
    ],
)
def test_the_schema_is_ours_and_the_rest_the_librarys(url: str, schema: str, shown: str) -> None:
    """`schema` is taken out, what libpq knows goes on to it, and a password is shown nowhere."""
    address = Address.of(url)
    assert (address.schema, address.shown) == (schema, shown)
    assert "schema=" not in address.url
    assert "connect_timeout=10" in address.url
    assert "s3cret" not in repr(address) + address.shown
    assert ("s3cret" in url) == ("s3cret" in address.url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://db/plant",
        "postgresql://db/plant?schema=pg_own",
        "postgresql://db/plant?schema=Big",
        "postgresql://db/plant?schema=",
        "postgresql://mia:s3c/ret@db/plant",
        "postgresql://mia:s3c#ret@db/plant",
        "postgresql://mia:s3c?ret@db/plant",
        "postgresql://[mia:s3cret/plant",
    ],
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    """With what to write instead; a password that breaks the URL is not repeated."""
    with pytest.raises(SettingsError, match=r"store\.url") as refused:
        Address.of(url)
    assert refused.value.do
    assert "s3c" not in refused.value.what + refused.value.do


@given(password=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_messages_are_masked(password: str) -> None:
    """Whatever the driver repeats of the URL, the password is taken out of it."""
    address = Address.of(f"postgresql://mia:{password}@db/plant")
    assert password not in address.masked(f"unexpected spaces found in {password!r}").replace("***", "")


def test_a_process_is_told_by_what_it_calls_itself() -> None:
    """So that another one can name it."""
    own = process(program())
    assert own is not None
    assert process(f"hotfire pid 12 on {own[1]}") == (12, own[1])
    assert process("psql") is None


@pytest.mark.parametrize(
    "place", ["mia:s3cret@db/plant", "db/plant?password=s3cret&schema=x", "db/plant?sslpassword=s3cret"]
)
def test_a_setting_with_a_password_is_shown_without_it(place: str) -> None:
    """In the authority and in the parameters; a reference is shown as it was written."""
    url = f"postgresql://{place}"
    assert "s3cret" not in repr(Secret(url))
    written = url.replace("s3cret", "${DB}")
    assert repr(Secret(url, written)) == written
