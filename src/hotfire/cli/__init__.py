"""The command line. Each command is a module of its own, imported when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hotfire.cli.command import Commands
from hotfire.cli.output import Answer, complain, say
from hotfire.errors import HotfireError

COMMANDS = {
    "init": ("hotfire.cli.workspace:init", "make a workspace, from a template or empty"),
    "demo": ("hotfire.cli.demo:demo", "a guided first look, in a temporary folder"),
    "ingest": ("hotfire.cli.ingest:ingest", "take a stream's records through its contract into the tables"),
    "up": ("hotfire.cli.up:up", "keep every stream going: growing files, and rows pushed over HTTP"),
    "balance": ("hotfire.cli.balance:balance", "prove that every record has exactly one fate"),
    "digest": ("hotfire.cli.balance:digest", "one hash over everything stored and quarantined"),
    "backfill": ("hotfire.cli.backfill:backfill", "bring in what live has missed, apart from it"),
    "replay": ("hotfire.cli.replay:replay", "prove that the engine, run again, gives the same ledger"),
    "backtest": ("hotfire.cli.backtest:backtest", "try rules on history: what they would have raised"),
    "rejudge": ("hotfire.cli.rejudge:rejudge", "judge the past by today's rules, beside what was said then"),
    "quarantine": ("hotfire.cli.quarantine:quarantine", "list, show, count, replay and discard rejected rows"),
    "contract": ("hotfire.cli.contract:contract", "lint contracts, or infer a draft from data"),
    "sql": ("hotfire.cli.sql:sql", "ask the tables and the lake, read-only"),
    "why": ("hotfire.cli.why:why", "tell the fate of one line of a file, or how an alarm came about"),
    "alarm": ("hotfire.cli.alarm:alarm", "list, show, acknowledge and silence alarms"),
    "sentinel": ("hotfire.cli.sentinel:sentinel", "one look for cron and CI: exit 1 where an alarm is open"),
    "backup": ("hotfire.cli.backup:backup", "write store and lake of one moment into a folder"),
    "restore": ("hotfire.cli.restore:restore", "put a backup back into a folder without data"),
    "doctor": ("hotfire.cli.doctor:doctor", "check a workspace; each finding says what to do"),
    "simulate": ("hotfire.cli.simulate:simulate", "make seeded, realistic data with labelled faults"),
}
"""Every command: where it is, and what it does."""


@click.command(cls=Commands, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--workspace",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The workspace; else the one around the working folder.",
)
@click.option(
    "--completion",
    type=click.Choice(["bash", "zsh", "fish"]),
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, shell: _completion(context, shell),
    help='Print what the shell needs to complete commands: eval "$(hotfire --completion bash)".',
)
@click.version_option(package_name="hotfire", message="hotfire %(version)s")
def hotfire(workspace: Path | None) -> None:
    """From files to trusted tables, exactly once.

    Exit codes: 0 fine, 1 a check did not hold, 2 your mistake, 3 an outage or a start that would not be safe.
    """


def _completion(context: click.Context, shell: str | None) -> None:
    """Print a shell's completion script, and end; None goes on."""
    if shell is None:
        return
    from click.shell_completion import get_completion_class

    makes = get_completion_class(shell)
    assert makes is not None
    click.echo(makes(context.command, {}, "hotfire", "_HOTFIRE_COMPLETE").source())
    context.exit()


def main() -> int:
    """Run the command line of this process; returns the exit code. Never shows a traceback for what can be named."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy would start threads that only spin
    arguments = sys.argv[1:]
    as_json = "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this process
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - as long as it runs
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _answered(arguments, as_json=as_json)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return 141
        complain(f"The answer cannot be written: {error.strerror}.", _AGAIN, as_json=False)
        return 3
    return code


def _answered(arguments: Sequence[str], *, as_json: bool) -> int:
    """Run one command and print what it answers, or what went wrong, each kind of trouble under its exit code."""
    try:
        answer = hotfire.main(list(arguments), prog_name="hotfire", standalone_mode=False)
        return say(answer, as_json=as_json) if isinstance(answer, Answer) else int(answer or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=as_json)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "hotfire"
        what, do, code = error.format_message(), f"See {command} --help", 2
    except HotfireError as error:
        what, do, code = error.what, error.do, error.exit_code
    except (click.Abort, KeyboardInterrupt):
        what, do, code = _STOPPED
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        what, do, code = f"{where}{error.strerror or error}.", _REMEDIES.get(error.errno or 0, _AGAIN), 3
    except MemoryError:
        what, do, code = "Out of memory.", "Take smaller batches: set engine.batch_rows and engine.batch_bytes.", 3
    except Exception as error:  # noqa: BLE001 - the boundary of a command: a bug, too, is answered in the form asked for
        what, do, code = _STOPPED
        if not isinstance(error.__cause__, KeyboardInterrupt):  # what is interrupted while it is imported wraps it
            sys.excepthook(type(error), error, error.__traceback__)
            what, do, code = f"hotfire has a bug: {type(error).__name__}: {error}", f"Please report it. {_AGAIN}", 3
    complain(what, do, as_json=as_json)
    return code


_AGAIN = "What was committed stays; the same command goes on from there."
_STOPPED = ("Stopped.", _AGAIN, 130)
_REMEDIES = {
    13: "Make it readable and writable for this user.",
    28: f"The disk is full: free some space. {_AGAIN}",
    30: "The file system is read-only: choose another folder, or mount it writable.",
}
