"""Log lines on stderr: for people on a terminal, JSON otherwise. Each carries the job's id."""

from __future__ import annotations

import sys
from typing import Any

from hotfire.cli.output import terminal


def logger(job_id: str) -> Any:
    """A structlog logger bound to a job. On a terminal it says only what is wrong: a progress bar shows the rest."""
    import structlog

    human = terminal()
    show = structlog.dev.ConsoleRenderer(colors=False) if human else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            show,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("warning" if human else "info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger(job_id=job_id)
