"""One look at a web API: whether it has anything new, how little has to be asked for to know, and what is gone.

- never looked before: `initial`, the list (1 request)
- the latest record is the known one: `unchanged` (1 request)
- it is newer: `incremental`, latest and query (2 requests)
- either of them fails or makes no sense: `fallback`, and then the list
- a full comparison is due or asked for: `reconcile`, the list; finds deletions, too (1 request)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Struct

from hotfire.clock import iso
from hotfire.errors import Outage, SourceChanged, UserError
from hotfire.source.rest.api import LeftAlone
from hotfire.source.rest.records import decoded, gone_lines, instant_text, listing, print_of

if TYPE_CHECKING:
    from hotfire.rows import Place
    from hotfire.source.rest.answers import Answers
    from hotfire.source.rest.api import Answer, Api
    from hotfire.source.rest.records import Key, Shape
    from hotfire.source.rest.settings import RestSettings

PlanName = Literal["initial", "unchanged", "incremental", "fallback", "reconcile"]
_PAGE_ROWS = 1000
_AGAIN = "Nothing was done; the next poll asks again."


class Senseless(Outage):
    """An answer that cannot be right. The list is asked for instead."""


class Book(Protocol):
    """What the store knows of the stream, and keeps of its source without a batch."""

    def keys(self) -> Collection[Key]:
        """The identities of all current records."""
        ...

    def keep(self, place: Place) -> None:
        """Remember a place as it stands now; nothing happens where a batch has moved it meanwhile."""
        ...


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of an API from one look to the next.

    Attributes:
        initial_ns: when its first list was taken; None: never.
        checked_ns: when it was last looked at.
        reconciled_ns: when everything was last compared.
        since_ns: the greatest instant of a record that is not still to come.
        listing: the names of the last list's answers; empty where something newer was taken since.
        prints, latest_ns: the latest record, as it was answered: hashes of it, and its instant.
        etags: what answers were called, by address.
        contract: the hash of the one that the last list was taken under: another one may read more of it.
        missing: so many stored records were not in the last list, and were not deleted: there were too many.
    """

    initial_ns: int | None = None
    checked_ns: int = 0
    reconciled_ns: int = 0
    since_ns: int | None = None
    listing: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()
    latest_ns: int | None = None
    etags: dict[str, str] = {}
    contract: str = ""
    missing: int = 0


class Look(Struct, frozen=True):
    """What one look has brought.

    Attributes:
        names: of the answers that have the records.
        gone: the name of the deletions; empty: none.
        rows: records and deletions.
        state: as it is once all of them are committed.
        why: what kept from a smaller plan; empty: nothing.
    """

    plan: PlanName
    state: State
    names: Sequence[str] = ()
    gone: str = ""
    rows: int = 0
    why: str = ""


class Looking(Struct, frozen=True):
    """How to look: the API, its settings, what is known of the stream, and the hash of its contract."""

    settings: RestSettings
    shape: Shape
    api: Api
    answers: Answers
    book: Book
    contract: str

    def look(self, state: State, now_ns: int, *, reconcile: bool = False) -> Look:
        """Find out what is new.

        Args:
            reconcile: compare everything, whatever is known.

        Raises:
            Outage: the API does not answer, or its list makes no sense.
            UserError: it refuses.
        """
        self.api.begin()
        state = msgspec.structs.replace(state, checked_ns=now_ns)
        if state.initial_ns is None:
            return self._all("initial", state, force=False)
        reconcile = reconcile or state.contract != self.contract
        due = now_ns - state.reconciled_ns >= self.settings.reconcile_ns
        if reconcile or due or self.settings.latest is None:
            return self._all("reconcile", state, force=reconcile or state.missing > 0)
        try:
            return self._newer(state)
        except LeftAlone:
            raise
        except (Outage, UserError) as error:
            return self._all("fallback", state, force=False, why=error.what)

    def _newer(self, state: State) -> Look:
        """What came after the latest record that is known. Raises where that cannot be told."""
        path = str(self.settings.latest)
        answer = self.api.get(path, lambda one: one, self._etag(state, path))
        if answer.unchanged:
            return Look("unchanged", state)
        record, key, at_ns = self._latest(answer, path)
        own = print_of(record)
        if own in state.prints:
            return Look("unchanged", self._known(state, answer, path))
        self._goes_on(state, at_ns, path)
        now = msgspec.structs.replace(self._known(state, answer, path), prints=(own,), latest_ns=at_ns)
        if record in self._listed(state):
            return Look("unchanged", now)
        names, lines = self._queried(state, at_ns)
        found = {self.shape.key_of(one): one for one in decoded(lines)}
        if key not in found:
            raise Senseless(f"{self.settings.query} does not find the record that {path} answers.")
        instants = self._instants([record, *found.values()], state.checked_ns)
        now = msgspec.structs.replace(
            now,
            prints=(own, print_of(found[key])),
            since_ns=max([state.since_ns or 0, *instants]) or None,
            listing=(),
        )
        return Look("incremental", now, names, rows=len(lines))

    def _latest(self, answer: Answer, path: str) -> tuple[Any, Key, int]:
        """The latest record, its key and its instant."""
        try:
            record = msgspec.json.decode(answer.body)
        except msgspec.DecodeError as error:
            raise Senseless(f"{path} answers with something that is no record: {error}.") from error
        key, at_ns = self.shape.key_of(record), self.shape.since_of(record)
        if key is None or at_ns is None:
            raise Senseless(f"{path} answers with a record without key or {self.settings.since}.")
        return record, key, at_ns

    def _goes_on(self, state: State, at_ns: int, path: str) -> None:
        """Whether the latest record may be one: it is not older than the one before."""
        least = state.latest_ns
        if least is None:
            least = (state.since_ns or 0) - self.settings.overlap_ns
        if at_ns < least:
            raise Senseless(f"{path} goes back to {iso(at_ns)}; it was at {iso(least)}.")

    def _listed(self, state: State) -> list[Any]:
        """The records of the last list, where its answers are still here."""
        try:
            bodies = [self.answers.body(name) for name in state.listing]
        except SourceChanged:
            return []
        return [one for body in bodies for one in decoded(listing(body, "").lines)]

    def _queried(self, state: State, at_ns: int) -> tuple[list[str], list[bytes]]:
        """Everything from the last record that was taken on, with the overlap, page by page; without a query, all."""
        if self.settings.query is None:
            listed, every, _ = self._list()
            return listed or [], every
        path, since = self.settings.query, str(self.settings.since)
        begin = instant_text(max((state.since_ns or at_ns) - self.settings.overlap_ns, 0))
        names: list[str] = []
        lines: list[bytes] = []
        more = True
        while more:
            options = {"pagination": True, "page": len(names) + 1, "limit": _PAGE_ROWS, "sort": {since: 1}}
            body = msgspec.json.encode({"query": {since: {"$gte": begin}}, "options": options})
            answer = self.api.post(path, body, lambda one: one)
            found = listing(answer.body, path)
            if found.more and not found.lines:
                raise Outage(f"{path} answers with an empty page that is not the last.", _AGAIN)
            names.append(self.answers.keep(answer.body))
            lines += found.lines
            more = found.more
        return names, lines

    def _all(self, plan: PlanName, state: State, *, force: bool, why: str = "") -> Look:
        """The list, compared with what is stored where the plan says so."""
        path = self.settings.list
        names, lines, etag = self._list("" if force or not state.listing else self._etag(state, path))
        now_ns, compares = state.checked_ns, plan in ("initial", "reconcile")
        if names is None:
            return Look(plan, self._compared(state) if compares else state, why=why)
        stored = self.book.keys() if state.initial_ns is not None else ()
        if not lines:
            if stored:
                what = f"{self.settings.base_url}{path} lists nothing, and {len(stored):,} records are stored"
                raise Outage(f"{what}: nothing was deleted.", _AGAIN)
            return Look(plan, state, why=why)
        known = {**state.etags, self._url(path): etag} if etag else state.etags
        now = msgspec.structs.replace(state, listing=tuple(names), etags=known)
        if tuple(names) == state.listing and not force:
            return Look(plan, self._compared(now) if compares else now, why=why)
        records = list(decoded(lines))
        since_ns = max(self._instants(records, now_ns), default=None)
        initial_ns = state.initial_ns or now_ns
        now = msgspec.structs.replace(now, since_ns=since_ns, initial_ns=initial_ns, contract=self.contract)
        if not compares:
            return Look(plan, now, names, rows=len(lines), why=why)
        gone, missing = self._gone(records, stored)
        now = msgspec.structs.replace(self._compared(now), missing=missing, prints=(), latest_ns=None)
        name = self.answers.keep(msgspec.json.encode(gone)) if gone else ""
        return Look(plan, now, names, name, len(lines) + len(gone), why)

    def _list(self, etag: str = "") -> tuple[list[str] | None, list[bytes], str]:
        """The names of the list's answers, its records, and what its first answer is called; None: as it was."""
        names: list[str] = []
        lines: list[bytes] = []
        path, first = self.settings.list, ""
        while path:

            def read(one: Answer, path: str = path) -> tuple[Answer, Any]:
                return one, None if one.unchanged else listing(one.body, path)

            answer, found = self.api.get(path, read, "" if names else etag)
            if found is None:
                return None, [], etag
            name = self.answers.keep(answer.body)
            if (found.more and not answer.next) or name in names:
                raise UserError(f"{path} has more pages, and does not say where.", "A Link header with rel=next would.")
            first = first or answer.etag
            names.append(name)
            lines += found.lines
            path = answer.next
        return names, lines, first if len(names) == 1 else ""

    def _gone(self, records: Sequence[Any], stored: Collection[Key]) -> tuple[list[Key], int]:
        """The stored records that are not listed; or how many they are, where they are too many to be believed."""
        listed = {self.shape.key_of(one) for one in records}
        if None in listed or not stored:
            return [], 0
        gone = sorted(set(stored) - listed)
        if len(gone) > self.settings.max_deleted * len(stored):
            return [], len(gone)
        return gone, 0

    def _instants(self, records: Sequence[Any], now_ns: int) -> list[int]:
        """When records happened that are not still to come."""
        return [one for one in map(self.shape.since_of, records) if one is not None and one <= now_ns]

    def _compared(self, state: State) -> State:
        return msgspec.structs.replace(state, reconciled_ns=state.checked_ns)

    def _known(self, state: State, answer: Answer, path: str) -> State:
        if not answer.etag:
            return state
        return msgspec.structs.replace(state, etags={**state.etags, self._url(path): answer.etag})

    def _etag(self, state: State, path: str) -> str:
        return state.etags.get(self._url(path), "")

    def _url(self, path: str) -> str:
        return self.settings.base_url.rstrip("/") + path


def lines_of(answers: Answers, names: Sequence[str], gone: str, shape: Shape) -> tuple[list[bytes], list[Key]]:
    """The records of kept answers as lines, deletions last; and the deletions' keys. Raises SourceChanged."""
    lines = [line for name in names for line in listing(answers.body(name), name).lines]
    keys = [tuple(one) for one in msgspec.json.decode(answers.body(gone))] if gone else []
    return lines + gone_lines(keys, shape), keys
