"""Which file people mean, and where it is now: by its path today or when it was read, or by the end of that path."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hotfire.errors import UserError
from hotfire.source.identity import look

if TYPE_CHECKING:
    from hotfire.rows import Part, Place


def meant(file: str, folder: Path, known: Mapping[str, Collection[Place]]) -> set[str]:
    """The keys of the files that people may mean; empty where none fits.

    Args:
        file: a path, absolute or relative to the working folder or the workspace, or the end of one.
        folder: the workspace. It may have been moved since a file was read.
        known: every file by its key, as it was called whenever something was read of it.

    Raises:
        UserError: the end of a path fits several files.
    """
    exact = {file, *(str(path) for path in _paths(file, folder))}
    found = {key for key, places in known.items() if any(exact & _names(place) for place in places)}
    if found:
        return found
    for tail in _tails(file, folder):
        found = {key for key, places in known.items() if any(_ends_in(place, tail) for place in places)}
        if len({_label(known[key]) for key in found}) > 1:
            labels = sorted(_label(known[key]) for key in found)
            raise UserError(f"{len(labels)} files end in {file}.", f"Name more of the path: {', '.join(labels[:5])}")
        if found:
            return found
    return set()


def near(file: str, folder: Path, known: Mapping[str, Collection[Place]]) -> str:
    """The file among the known ones that is called most like this, from the workspace; empty where none is."""
    names = {Path(_label(places)).name: _label(places) for places in known.values()}
    close = difflib.get_close_matches(Path(file).name, names, n=1)
    return names[close[0]].removeprefix(f"{folder}/") if close else ""


def relocated(part: Part, folder: Path, file: str) -> Part:
    """The part under the path where its file is now, if it is the same by its first bytes; as it was where it is not."""
    was = Path(str(part.place.facts.get("path", "")))
    below = [folder.joinpath(*was.parts[at:]) for at in range(1, len(was.parts))]
    for path in (was, *_paths(file, folder), *below):
        if path.is_file() and look(path).starts_like(part.place):
            if path == was:
                return part
            place = replace(part.place, label=str(path), facts={**part.place.facts, "path": str(path)})
            return replace(part, place=place)
    return part


def _paths(file: str, folder: Path) -> Iterator[Path]:
    """What a path may mean: from the working folder, or from the workspace."""
    yield Path(file).resolve()
    yield (folder / file).resolve()


def _names(place: Place) -> set[str]:
    return {place.label, str(Path(place.label).resolve()), str(place.facts.get("path", ""))}


def _label(places: Collection[Place]) -> str:
    """What a file was last called."""
    return [place.label for place in places][-1]


def _tails(file: str, folder: Path) -> Iterator[tuple[str, ...]]:
    """Ends of a path to look for: what was typed, and where it lies in the workspace."""
    yield tuple(part for part in Path(file).parts if part not in ("/", ".", ".."))
    for path in _paths(file, folder):
        if path.is_relative_to(folder):
            yield path.relative_to(folder).parts


def _ends_in(place: Place, tail: tuple[str, ...]) -> bool:
    return bool(tail) and Path(str(place.facts.get("path", place.label))).parts[-len(tail) :] == tail
