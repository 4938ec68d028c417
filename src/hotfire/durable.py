"""Making files and folders survive a power cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def sync(path: Path) -> None:
    """Return when the file's bytes, or the folder's entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make(folder: Path) -> None:
    """Make the folder where it is not there; its name and those of folders around it are on disk."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync(one.parent)


def sync_files(paths: Iterable[Path], top: Path) -> None:
    """`sync` files, and every folder between them and `top`, which is synced as well."""
    folders = {top}
    for path in paths:
        sync(path)
        folders.update(parent for parent in path.parents if parent.is_relative_to(top))
    for folder in folders:
        sync(folder)
