-- Revisions of the ledger of conditions after the first, which is the engine's own: what today's rules say of the past.
CREATE TABLE hf_revision (
    stream TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 2),
    contract TEXT NOT NULL,
    rules TEXT NOT NULL,
    since_ns INTEGER,
    until_ns INTEGER,
    conditions INTEGER NOT NULL CHECK (conditions >= 0),
    reach TEXT NOT NULL,
    job_id TEXT NOT NULL,
    judged_at_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, revision)
) STRICT;
