"""Contracts of a workspace: their texts in order, and a compiled form that may vanish or rot at any time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hotfire.contract.odcs import compile_contract
from hotfire.errors import ContractError, UserError
from hotfire.workspace.contracts import contract_texts, load_contract
from hotfire.workspace.templates import create


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    create("fleet", tmp_path / "fleet")
    return tmp_path / "fleet"


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "data" / "cache").iterdir())


def test_versions_come_in_order_of_number(tmp_path: Path) -> None:
    """v10 comes after v9, and files that are no version are not read."""
    home = tmp_path / "contracts" / "s"
    home.mkdir(parents=True)
    for name in ("v10.yaml", "v9.yaml", "v1.yaml", "vx.yaml", "v2.yaml~", "notes.md"):
        (home / name).write_text(name, encoding="utf-8")
    found = contract_texts(tmp_path, "s")
    assert found == [(f"contracts/s/{name}", name) for name in ("v1.yaml", "v9.yaml", "v10.yaml")]


def test_a_stream_without_a_contract_is_the_users_to_mend(tmp_path: Path) -> None:
    """The message names the file that is missing and how to draft it."""
    with pytest.raises(UserError, match=r"contracts/s/v1\.yaml") as caught:
        load_contract(tmp_path, "s")
    assert "contract infer" in caught.value.do


def test_the_compiled_contract_is_kept_and_equal(fleet: Path) -> None:
    """The second load reads what the first one kept, and gives the same contract."""
    first = load_contract(fleet, "events")
    (file,) = kept(fleet)
    before = file.stat()
    assert load_contract(fleet, "events") == first == compile_contract(contract_texts(fleet, "events"))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_text_is_another_contract(fleet: Path) -> None:
    """A changed file is compiled anew; the earlier form does not stand in for it."""
    first = load_contract(fleet, "boxes")
    path = fleet / "contracts" / "boxes" / "v1.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("maximum: 80", "maximum: 90"), encoding="utf-8")
    assert load_contract(fleet, "boxes").column("temperature").maximum == 90
    assert first.column("temperature").maximum == 80


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_form_is_made_again(fleet: Path, damage: str) -> None:
    """Whatever happened to the kept file, the contract is right and the file is whole afterwards."""
    first = load_contract(fleet, "events")
    (file,) = kept(fleet)
    whole = file.read_bytes()
    foreign = b'{"stream": 5}'
    damaged = {
        "cut": whole[:-5],
        "flip": whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:],
        "empty": b"",
        "foreign": hashlib.sha256(foreign).digest() + foreign,
    }
    file.write_bytes(damaged[damage])
    assert load_contract(fleet, "events") == first
    assert file.read_bytes() == whole


def test_a_workspace_that_cannot_be_written_still_works(fleet: Path) -> None:
    """Nothing can be kept where `data` is no folder, and nothing has to be."""
    (fleet / "data").write_bytes(b"")
    assert load_contract(fleet, "boxes").stream == "boxes"


def test_a_contract_that_is_not_well_written_leaves_nothing_behind(fleet: Path) -> None:
    """A mistake is reported with its file, every time anew."""
    (fleet / "contracts" / "boxes" / "v1.yaml").write_text("apiVersion: [", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ContractError, match=r"contracts/boxes/v1\.yaml:1"):
            load_contract(fleet, "boxes")
    assert not (fleet / "data").exists()
