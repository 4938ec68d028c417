-- What was brought in apart from live: which places and event times, as JSON, and whether it was finished.
CREATE TABLE hf_backfill (
    stream TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    spec TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done')),
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,
    error TEXT,
    PRIMARY KEY (stream, number),
    CHECK ((state = 'done') = (ended_at_ns IS NOT NULL))
) STRICT;
-- The order of a stream's commits over all of its shards, which a wall clock that is set back cannot tell.
ALTER TABLE hf_ledger ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;
UPDATE hf_ledger SET arrival = batch_seq;
