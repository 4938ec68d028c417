"""Workspaces to start from. They ship with hotfire; `create` copies one."""

from __future__ import annotations

import shutil
from pathlib import Path

from hotfire.errors import UserError

TEMPLATES = {
    "engines": "rocket engines on test stands; `hotfire simulate` makes their data",
    "dyno": "turbofan engines run to failure: the C-MAPSS files",
    "launches": "rocket launches and what belongs to them, from a web API: corrected, counted after every change",
    "fleet": "devices in the field, two generations of messages, and sensor boxes",
}
"""The reference workspaces, and what each is about."""

_HOME = Path(__file__).parent.parent / "templates"


def create(template: str | None, folder: Path) -> list[str]:
    """Make a workspace in `folder`: a copy of a template, or an empty one that explains itself.

    Returns the files made, relative to the folder. UserError where the template is not known or the folder is not
    empty; nothing is made then.
    """
    if template is not None and template not in TEMPLATES:
        raise UserError(f"There is no template {template!r}.", f"Known: {', '.join(TEMPLATES)}.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty.", "Choose a new folder: a workspace begins in one of its own.")
    try:
        shutil.copytree(_HOME / (template or "empty"), folder, dirs_exist_ok=True)
        (folder / "incoming").mkdir(exist_ok=True)
        (folder / ".gitignore").write_text("/data/\n/incoming/\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.", "Choose a folder that is yours.") from error
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
