"""Standard input as a file, so that it can be read again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

PREFIX = "stdin-"

_BLOCK = 1 << 20


def take(stream: BinaryIO, folder: Path) -> Path:
    """The stream's whole content as a file named by its hash: the same input again is the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    sha = hashlib.sha256()
    unnamed = folder / f".{PREFIX}{os.getpid()}"
    with unnamed.open("wb") as file:
        while block := stream.read(_BLOCK):
            sha.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return unnamed.rename(folder / f"{PREFIX}{sha.hexdigest()[:32]}")
