"""Compressed files: the same bytes as before, wherever one begins to read, or a clear refusal."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hotfire.errors import UserError
from hotfire.source.compression import Packed, compression_of, length

CONTENT = bytes(range(256)) * 4000
PACKED = {
    "gz": gzip.compress(CONTENT[:5]) + gzip.compress(b"") + gzip.compress(CONTENT[5:]),
    "zst": zstandard.compress(CONTENT[:700_000]) + zstandard.compress(CONTENT[700_000:]),
}


@pytest.fixture(scope="module", params=["gz", "zst"])
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("packed") / f"a.{request.param}"
    path.write_bytes(PACKED[request.param])
    return path, request.param


@given(reads=st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 300_000)), min_size=1, max_size=6))
def test_any_bytes_in_any_order(packed: tuple[Path, str], reads: list[tuple[int, int]]) -> None:
    """Reading at offsets, forward and back, gives the bytes that are there."""
    file = Packed(*packed)
    for offset, size in reads:
        assert file.read(offset, size) == CONTENT[offset : offset + size]


def test_the_length_is_the_contents(packed: tuple[Path, str]) -> None:
    """All members count; the form is known by its first bytes."""
    path, form = packed
    assert compression_of(path.read_bytes()) == form
    assert length(path, form) == len(CONTENT)


@pytest.mark.parametrize("form", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["short", "flipped", "garbage"])
def test_damage_is_found(tmp_path: Path, form: str, damage: str) -> None:
    """A file cut short, with a flipped byte in its check sum, or with other bytes behind it, is refused."""
    data = PACKED[form]
    if form == "zst":
        data = zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT)
    broken = {"short": data[:-3], "flipped": data[:-6] + bytes([data[-6] ^ 1]) + data[-5:], "garbage": data + b"other"}
    if (form, damage) == ("zst", "flipped"):
        broken["flipped"] = data[:-1] + bytes([data[-1] ^ 1])
    path = tmp_path / "a"
    path.write_bytes(broken[damage])
    with pytest.raises(UserError, match="cut short or damaged"):
        length(path, form)
