"""Launches, rockets, launchpads and payloads as the SpaceX API has them: made up, always the same.

`python -m hotfire.testing.launches NOW LATER` writes two snapshots into folders, for `hotfire.testing.replica`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from hotfire.testing.documents import Document

_FIRST = datetime(2006, 3, 24, 22, 30, tzinfo=UTC)
_PADS = 4
_ROCKETS = ("Falcon 1", "Falcon 9", "Falcon Heavy", "Starship")
_FLOWN = 0.95


def made_up(count: int = 200, seed: int = 1) -> dict[str, list[Document]]:
    """A snapshot with so many launches, the last one in twenty of them still to come."""
    chance = random.Random(seed)  # noqa: S311 - chance with a seed can be repeated
    flown = int(count * _FLOWN)
    launches = [_launch(chance, number, upcoming=number > flown) for number in range(1, count + 1)]
    payloads = [{"id": one, "name": f"Payload {one}", "type": "Satellite", "mass_kg": chance.randint(1, 9000),
                 "launch": launch["id"], "customers": ["NASA"], "norad_ids": [number], "reused": False}
                for number, launch in enumerate(launches) for one in launch["payloads"]]  # fmt: skip
    rockets = [
        {"id": _id("f", number), "name": name, "active": True, "stages": 2, "success_rate_pct": 97,
         "height": {"meters": 70, "feet": 229.6}, "first_flight": "2010-06-04"}
        for number, name in enumerate(_ROCKETS)
    ]  # fmt: skip
    pads = [{"id": _id("a", number), "name": f"Pad {number}", "latitude": 28.5, "longitude": -80.5, "rockets": []}
            for number in range(_PADS)]  # fmt: skip
    return {"launches": launches, "rockets": rockets, "launchpads": pads, "payloads": payloads}


def later(
    snapshot: Mapping[str, list[Document]], flown: int = 2, corrected: int = 3, announced: int = 2, seed: int = 2
) -> dict[str, list[Document]]:
    """What the API shows some weeks later: the next launches have flown, some old ones are corrected, some are new."""
    chance, after = random.Random(seed), deepcopy(dict(snapshot))  # noqa: S311 - as above
    launches = after["launches"]
    waiting = [one for one in launches if one["upcoming"]]
    for one in waiting[:flown]:
        one |= {"upcoming": False, "success": True, "date_precision": "hour"}
    over = [one for one in launches if not one["upcoming"] and one not in waiting]
    for one in chance.sample(over, corrected):
        one["details"] = "Corrected."
    first = max(one["flight_number"] for one in launches) + 1
    launches += [_launch(chance, number, upcoming=True) for number in range(first, first + announced)]
    return after


def write(snapshot: Mapping[str, list[Document]], folder: Path) -> None:
    """The snapshot as files of a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in snapshot.items():
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(found))


def _launch(chance: random.Random, number: int, *, upcoming: bool) -> Document:
    at = _FIRST + timedelta(days=30 * number, minutes=chance.randint(0, 1000))
    success = None if upcoming else chance.random() < _FLOWN
    cores: list[dict[str, Any]] = [
        {"core": None if upcoming else _id("c", number + one), "flight": chance.randint(1, 10), "gridfins": True,
         "legs": True, "reused": chance.random() < 0.5, "landing_attempt": True, "landing_success": success,
         "landing_type": "ASDS", "landpad": _id("d", one)}
        for one in range(1 if number % 40 else 3)
    ]  # fmt: skip
    return {
        "fairings": None if number % 3 else {"reused": False, "recovery_attempt": True, "recovered": None, "ships": []},
        "links": {"patch": {"small": f"https://example.com/{number}.png", "large": None}, "webcast": None,
                  "reddit": {"campaign": None, "launch": None, "media": None, "recovery": None},
                  "flickr": {"small": [], "original": [f"https://example.com/{number}-{one}.jpg" for one in range(3)]},
                  "presskit": None, "youtube_id": None, "article": None, "wikipedia": None},
        "static_fire_date_utc": None if upcoming else _iso(at - timedelta(days=5)),
        "static_fire_date_unix": None if upcoming else int((at - timedelta(days=5)).timestamp()),
        "net": False, "window": 0, "rocket": _id("f", number % len(_ROCKETS)), "success": success,
        "failures": [] if success is not False else [{"time": 33, "altitude": None, "reason": "engine failure"}],
        "details": f"Launch {number}, of which there is little to say but that it took place.", "crew": [],
        "ships": [], "capsules": [], "payloads": [_id("b", 2 * number), _id("b", 2 * number + 1)],
        "launchpad": _id("a", number % _PADS), "flight_number": number, "name": f"Mission {number}",
        "date_utc": _iso(at), "date_unix": int(at.timestamp()), "date_local": at.isoformat(timespec="seconds"),
        "date_precision": "hour", "upcoming": upcoming, "cores": cores, "auto_update": True, "tbd": False,
        "launch_library_id": None, "id": _id("e", number),
    }  # fmt: skip


def _id(kind: str, number: int) -> str:
    return f"5e9d0d95{kind * 4}{number:012x}"


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@click.command()
@click.argument("now", type=click.Path(path_type=Path))
@click.argument("after", metavar="LATER", type=click.Path(path_type=Path))
def main(now: Path, after: Path) -> None:
    """Write two snapshots: 200 launches, and some weeks later."""
    first = made_up()
    write(first, now)
    write(later(first), after)


if __name__ == "__main__":
    main()
