"""Baseline: launches from the API by httpx, judged by pydantic, upserted into SQLite by sqlite3 where their content changed.
Usage: baseline_httpx.py BASE_URL OUT.db; empty: the list; else the latest, and where it is newer, the query from 30 days before."""
import json
import sqlite3
import sys
from datetime import datetime, timedelta

import httpx
from pydantic import BaseModel, ConfigDict


class Core(BaseModel):
    core: str | None = None
    flight: int | None = None
    reused: bool | None = None
    landing_success: bool | None = None


class Launch(BaseModel):
    model_config = ConfigDict(extra="ignore")
    id: str
    name: str
    flight_number: int
    date_utc: datetime
    date_precision: str
    date_local: str
    success: bool | None
    upcoming: bool
    rocket: str | None
    launchpad: str | None
    payloads: list[str]
    cores: list[Core]
    failures: list[dict]
    static_fire_date_utc: datetime | None
    links: dict
    details: str | None


url, path = sys.argv[1:3]
con = sqlite3.connect(path)
con.execute("pragma journal_mode=wal")
con.execute("create table if not exists launches (id text primary key, name text, flight_number integer, date_utc text, date_precision text, date_local text, success integer, upcoming integer, rocket text, launchpad text, payloads text, cores text, failures text, static_fire_date_utc text, links text, details text, content text)")
con.execute("create table if not exists launch_aggregations (total_launches integer, successful integer, failed integer, updated_at text)")
known = dict(con.execute("select id, content from launches"))
with httpx.Client(base_url=url, timeout=30) as client:
    if not known:
        found = client.get("/v4/launches").raise_for_status().json()
    else:
        latest = Launch.model_validate(client.get("/v4/launches/latest").raise_for_status().json())
        found = []
        if known.get(latest.id) != latest.model_dump_json():
            (last,) = con.execute("select max(date_utc) from launches where not upcoming").fetchone()
            since = (datetime.fromisoformat(last) - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            body = {"query": {"date_utc": {"$gte": since}}, "options": {"pagination": False, "sort": "date_utc"}}
            found = client.post("/v4/launches/query", json=body).raise_for_status().json()["docs"]
changed = []
for one in found:
    launch = Launch.model_validate(one)
    content = launch.model_dump_json()
    if known.get(launch.id) != content:
        changed.append((launch.id, launch.name, launch.flight_number, launch.date_utc.isoformat(), launch.date_precision, launch.date_local, launch.success, launch.upcoming, launch.rocket, launch.launchpad, json.dumps(launch.payloads), json.dumps([core.model_dump() for core in launch.cores]), json.dumps(launch.failures), launch.static_fire_date_utc and launch.static_fire_date_utc.isoformat(), json.dumps(launch.links), launch.details, content))
if changed:
    con.executemany("insert or replace into launches values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", changed)
    con.execute("insert into launch_aggregations select count(*), sum(success), sum(not success), datetime() from launches")
con.commit()
con.close()
print(json.dumps({"found": len(found), "changed": len(changed)}))
