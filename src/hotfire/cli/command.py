"""How commands are declared: loaded when they are called, and each with `--json`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

import click
from msgspec.structs import replace

from hotfire.cli.output import Answer


class Command(click.Command):
    """One command. Returns an `Answer`; takes `--json`, which `main` acts on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asks = click.Option(["--json"], is_flag=True, expose_value=False, help="One JSON document on stdout.")
        self.params.append(asks)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Its lines are made later, when they are printed, and then in the same context."""
        answer = super().invoke(ctx)
        return replace(answer, lines=_within(ctx, answer.lines)) if isinstance(answer, Answer) else answer


class Commands(click.Group):
    """Commands by name, each imported only when it is called: listing them costs nothing.

    Args:
        places: by name, where the command is (`module:attribute`) and what it does, in a few words.
    """

    def __init__(self, *args: Any, places: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **{"no_args_is_help": True, **kwargs})
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order in which a newcomer needs them."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, imported now."""
        if cmd_name not in self.places:
            return None
        module, _, attribute = self.places[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with; UsageError with the nearest name where there is none."""
        name = args[0]
        if name not in self.places and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self.places, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{name}'.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The list in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, does) for name, (_, does) in self.places.items()])


def _within(context: click.Context, lines: Iterable[str]) -> Iterator[str]:
    rest = iter(lines)
    while True:
        with context.scope(cleanup=False):
            line = next(rest, None)
        if line is None:
            return
        yield line
