"""The launches workspace, kept up to date by Prefect 3: a task a stream, tried again after outages, every hour.

    python prefect_launches.py WORKSPACE            # once, on Prefect's ephemeral server
    python prefect_launches.py WORKSPACE --serve    # every hour, on the server that PREFECT_API_URL names

Prefect lives in an environment of its own (prefect_launches.txt says why), and calls the command `hotfire`, whose exit
code says whether it helps to try again. Every line that a task logs begins with the job's id.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, serve, task

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.deployments.runner import RunnerDeployment
    from prefect.tasks import Task

STREAMS = ("rockets", "launchpads", "payloads", "launches")
OUTAGE = 3
"""The exit code of what may work later."""


class Failed(Exception):
    """A job that has failed.

    Attributes:
        code: how `hotfire` ended.
    """

    def __init__(self, what: str, code: int) -> None:
        super().__init__(what)
        self.code = code


def is_outage(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether to try again: an outage passes, a mistake does not."""
    found = state.result(raise_on_failure=False)
    return isinstance(found, Failed) and found.code == OUTAGE


@task(
    task_run_name="ingest-{stream}",
    retries=3,
    retry_delay_seconds=[2, 10, 60],
    retry_jitter_factor=0.5,
    retry_condition_fn=is_outage,
)
def ingest(workspace: str, stream: str) -> dict[str, Any]:
    """One job of one stream; its document."""
    ran = called(workspace, "ingest", stream)
    found = json.loads(ran.stdout)
    job_id = found.get("job_id") or last_job(workspace, stream)
    logger = get_run_logger()
    for line in ran.stderr.splitlines():
        logger.info("%s %s", job_id, line)
    if ran.returncode:
        logger.error("%s %s: %s", job_id, stream, found["error"])
        raise Failed(found["error"], ran.returncode)
    counts = ", ".join(f"{name} {found[name]}" for name in ("inserted", "updated", "unchanged", "quarantined"))
    logger.info("%s %s: %s, %s", job_id, stream, found.get("plan", "files"), counts)
    if found.get("snapshot"):
        logger.info("%s %s: snapshot %s", job_id, stream, json.dumps(found["snapshot"]))
    return found


@flow(name="launches", log_prints=False)
def launches(workspace: str) -> list[dict[str, Any]]:
    """All four streams, one after the other: they share one store. One that fails does not keep the others."""
    states = [ingest(workspace, stream, return_state=True) for stream in STREAMS]
    return [state.result() for state in states]


def hourly(workspace: str) -> RunnerDeployment:
    """The flow with its schedule."""
    return launches.to_deployment("hourly", interval=timedelta(hours=1), parameters={"workspace": workspace})


def last_job(workspace: str, stream: str) -> str:
    """The job that has just failed: the store knows it, unless the store is what failed."""
    ran = called(workspace, "sql", "select job_id, stream from hf_job order by started_at_ns")
    jobs = {one["stream"]: one["job_id"] for one in json.loads(ran.stdout)} if ran.returncode == 0 else {}
    return jobs.get(stream, "no-job")


def called(workspace: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of hotfire in the workspace, with one JSON document on its standard output."""
    command = ["hotfire", "--workspace", workspace, *words, "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    if "--serve" in sys.argv[2:]:
        serve(hourly(sys.argv[1]))
    else:
        launches(sys.argv[1])
