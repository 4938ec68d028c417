"""Several sources that feed one stream, as one: pushed rows and files, or files that are looked at now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hotfire.rows import Place, Position, Span

if TYPE_CHECKING:
    from hotfire.clock import Clock
    from hotfire.errors import UserError
    from hotfire.protocols import Read, Source


@runtime_checkable
class Waiting(Protocol):
    """A source that knows when there is more."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return when there is more, or after so long at the latest."""
        ...


class Several:
    """Implements `protocols.Source`: each source in turn, so that none waits for another to be empty.

    Args:
        sources: by the beginning of their places' keys; the last one's is empty and takes every other place.
    """

    def __init__(self, sources: Mapping[str, Source], clock: Clock) -> None:
        self._sources, self._clock = dict(sources), clock
        self._turn = list(self._sources)

    @property
    def problems(self) -> list[UserError]:
        """What could not be read."""
        return [problem for source in self._sources.values() for problem in getattr(source, "problems", ())]

    def poll(self, after: Position) -> Read | None:
        """The next records of the source whose turn it is, or of another that has some."""
        for beginning in list(self._turn):
            read = self._sources[beginning].poll(self._own(beginning, after))
            if read is not None:
                self._turn.remove(beginning)
                self._turn.append(beginning)
                return read
        return None

    def reread(self, span: Span) -> Read:
        """Exactly the records of a span. Raises SourceChanged where that is impossible."""
        return self._sources[self._of(span.parts[0].place)].reread(span)

    def acknowledge(self, position: Position) -> None:
        """Each source hears of its own places."""
        for beginning, source in self._sources.items():
            source.acknowledge(self._own(beginning, position))

    def wait(self, seconds: float) -> None:
        """Return when one of them may have more, or after so long at the latest."""
        for source in self._sources.values():
            if isinstance(source, Waiting):
                source.wait(seconds)
                return
        self._clock.sleep(seconds)

    def close(self) -> None:
        """Close them all."""
        for source in self._sources.values():
            source.close()

    def _own(self, beginning: str, position: Position) -> Position:
        return {key: place for key, place in position.items() if self._of(place) == beginning}

    def _of(self, place: Place) -> str:
        return next(beginning for beginning in self._sources if place.key.startswith(beginning))


class NowAndThen:
    """Implements `protocols.Source`: looks at another source every so often, and then takes all that is there.

    Args:
        every_ns: from the end of one look to the beginning of the next.
    """

    def __init__(self, source: Source, every_ns: int, clock: Clock) -> None:
        self._source, self._every_ns, self._clock = source, every_ns, clock
        self._due_ns = 0

    @property
    def problems(self) -> list[UserError]:
        """What could not be read."""
        return list(getattr(self._source, "problems", ()))

    def poll(self, after: Position) -> Read | None:
        """The next records, where it is time to look."""
        if self._clock.now_ns() < self._due_ns:
            return None
        read = self._source.poll(after)
        if read is None:
            self._due_ns = self._clock.now_ns() + self._every_ns
        return read

    def reread(self, span: Span) -> Read:
        """Exactly the records of a span. Raises SourceChanged where that is impossible."""
        return self._source.reread(span)

    def acknowledge(self, position: Position) -> None:
        """Everything before the position is durable."""
        self._source.acknowledge(position)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
