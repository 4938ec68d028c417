"""The contracts of a workspace: their texts, and the compiled form beside them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from hotfire.contract.model import dump, load
from hotfire.errors import ContractError, UserError

if TYPE_CHECKING:
    from hotfire.contract.model import Contract


def contract_texts(folder: Path, stream: str) -> list[tuple[str, str]]:
    """Names (relative to the workspace) and texts of a stream's contract, `v1.yaml` first. UserError if none."""
    home = folder / "contracts" / stream
    found = [(int(name[1]), path) for path in home.glob("v*.yaml") if (name := re.fullmatch(r"v([0-9]+)", path.stem))]
    if not found:
        raise UserError(
            f"The stream {stream!r} has no contract: no contracts/{stream}/v1.yaml in {folder}.",
            "Draft one from data: hotfire contract infer",
        )
    try:
        return [(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")) for _, path in sorted(found)]
    except UnicodeDecodeError as error:
        raise UserError(f"A contract of {stream!r} is not UTF-8 text: {error}.") from None


def load_contract(folder: Path, stream: str) -> Contract:
    """The stream's contract as its files have it now.

    Raises:
        UserError: there is no contract; ContractError: it is not well written.
    """
    return compiled_contract(folder, stream, contract_texts(folder, stream))


def compiled_contract(folder: Path, stream: str, texts: Sequence[tuple[str, str]]) -> Contract:
    """The contract of these texts. Compiled once and kept in `data/cache`, by all of them; else it works without.

    Raises:
        ContractError: it is not well written.
    """
    home = folder / "data" / "cache"
    kept = home / f"contract-{stream}-{_fingerprint(texts)}.bin"
    if (compiled := _intact(kept)) is not None:
        with suppress(ContractError):  # of another build under the same version number
            return load(compiled)
    from hotfire.contract.odcs import compile_contract  # here, for it is seldom needed

    contract = compile_contract(texts)
    _keep(kept, dump(contract))
    return contract


def _fingerprint(texts: Sequence[tuple[str, str]]) -> str:
    digest = hashlib.sha256(version("hotfire").encode())
    for name, text in texts:
        digest.update(f"\0{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()[:32]


def _intact(kept: Path) -> bytes | None:
    """The content under its own hash; None where the file is missing or damaged."""
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    compiled = content[32:]
    return compiled if content[:32] == hashlib.sha256(compiled).digest() else None


def _keep(kept: Path, compiled: bytes) -> None:
    """Write the file whole or not at all. It only saves time, so a folder that refuses it is no error."""
    part = kept.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(hashlib.sha256(compiled).digest() + compiled)
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)


def same_identity(used: Contract, contract: Contract) -> None:
    """Whether rows under both can stand in one table. ContractError where they are told apart by other columns."""
    for what in ("kind", "identity", "revision"):
        old, new = getattr(used, what), getattr(contract, what)
        if old != new:
            shown = [value if isinstance(value, str) else ", ".join(value or ["none"]) for value in (old, new)]
            raise ContractError(
                f"{contract.stream} holds rows under the {what} {shown[0]}; the contract now says {shown[1]}.",
                "Take the change back, or begin a stream under another name.",
            )
