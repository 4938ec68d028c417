"""What the batches of one run came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from hotfire.cli.output import FATES

if TYPE_CHECKING:
    from hotfire.rows import Counts, Fault, Outcome, Rejected

_COUNTED = ("received", *FATES, "corrected", "late")


class Tally(Struct):
    """What the batches of one run came to.

    Attributes:
        unfinished: batch numbers that an interrupted run left planned.
        finished: sentences about those that this run has committed.
        checks: rejected records by check; a record counts once in each that it broke.
        examples: by check, the first record that broke it.
        first: batch and record number of the first rejected record.
        cleared: rows that retention took out of the store.
        raised: severities of the conditions that were raised.
        inserted, deleted: of entities, first versions and deletions among the stored rows.
    """

    unfinished: Sequence[int] = ()
    counts: Counts | None = None
    checks: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[Fault, Rejected]] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    first: tuple[str, int, int] | None = None
    cleared: int = 0
    raised: list[str] = field(default_factory=list)
    inserted: int = 0
    deleted: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one batch."""
        plan = outcome.plan
        if plan.batch_seq in self.unfinished:
            what = f"repair of {outcome.counts.moved:,} rows" if plan.repair else f"{plan.span.rows:,} records"
            self.finished.append(f"finished batch {plan.batch_seq}, which was interrupted: {what}")
        if plan.repair:
            return
        self.raised += [one.condition.severity for one in outcome.watched.changes if one.what == "raised"]
        self.counts = outcome.counts if self.counts is None else self.counts + outcome.counts
        self.inserted += outcome.inserted
        self.deleted += int(outcome.rows["deleted"].sum()) if "deleted" in outcome.rows.columns else 0
        for row in outcome.rejected:
            self.first = self.first or (plan.shard, plan.batch_seq, row.row_no)
            for check, fault in {fault.check: fault for fault in reversed(row.faults)}.items():
                self.checks[check] = self.checks.get(check, 0) + 1
                self.examples.setdefault(check, (fault, row))

    def numbers(self) -> dict[str, int]:
        """The equation and the marks."""
        return {name: getattr(self.counts, name) if self.counts else 0 for name in _COUNTED}

    def top(self) -> dict[str, int]:
        """Checks, most broken first."""
        return dict(sorted(self.checks.items(), key=lambda item: (-item[1], item[0])))
