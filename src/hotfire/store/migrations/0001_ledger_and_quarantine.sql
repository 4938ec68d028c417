-- hotfire's own tables. States that must not be are impossible: CHECK constraints hold the conservation equation.
-- first_rowid and last_rowid say where SQLite keeps a batch's rows; elsewhere they are null.
CREATE TABLE hf_version (
    hash TEXT NOT NULL PRIMARY KEY,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('contract', 'rules')),
    version TEXT NOT NULL,
    texts TEXT NOT NULL,
    entered_at_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE hf_checkpoint (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    committed_seq INTEGER NOT NULL CHECK (committed_seq >= 0),
    PRIMARY KEY (stream, shard)
) STRICT;
CREATE TABLE hf_plan (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    batch_seq INTEGER NOT NULL CHECK (batch_seq >= 1),
    plan TEXT NOT NULL,
    PRIMARY KEY (stream, shard)
) STRICT;
CREATE TABLE hf_ledger (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    batch_seq INTEGER NOT NULL CHECK (batch_seq >= 1),
    job_id TEXT NOT NULL,
    contract TEXT NOT NULL REFERENCES hf_version (hash),
    repair INTEGER NOT NULL CHECK (repair IN (0, 1)),
    span TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    received_at_ns INTEGER NOT NULL,
    committed_at_ns INTEGER NOT NULL,
    received INTEGER NOT NULL CHECK (received >= 0),
    stored INTEGER NOT NULL CHECK (stored >= 0),
    duplicate INTEGER NOT NULL CHECK (duplicate >= 0),
    superseded INTEGER NOT NULL CHECK (superseded >= 0),
    quarantined INTEGER NOT NULL CHECK (quarantined >= 0),
    moved INTEGER NOT NULL CHECK (moved >= 0),
    corrected INTEGER NOT NULL CHECK (corrected >= 0),
    late INTEGER NOT NULL CHECK (late >= 0),
    first_rowid INTEGER,
    last_rowid INTEGER,
    PRIMARY KEY (stream, shard, batch_seq),
    CHECK (received + moved = stored + duplicate + superseded + quarantined),
    CHECK (repair = 1 OR moved = 0),
    CHECK (repair = 0 OR received = 0)
) STRICT;
CREATE TABLE hf_quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    batch_seq INTEGER NOT NULL,
    row_no INTEGER NOT NULL,
    contract TEXT NOT NULL REFERENCES hf_version (hash),
    place TEXT NOT NULL,
    at_offset INTEGER NOT NULL,
    line INTEGER NOT NULL,
    facts TEXT NOT NULL,
    raw BLOB NOT NULL,
    faults TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'repaired', 'discarded')),
    repaired_shard TEXT,
    repaired_seq INTEGER,
    repaired_fate TEXT CHECK (repaired_fate IN ('stored', 'duplicate', 'superseded')),
    reason TEXT,
    CHECK ((state = 'repaired') = (repaired_seq IS NOT NULL)),
    CHECK ((state = 'repaired') = (repaired_fate IS NOT NULL)),
    CHECK (state <> 'discarded' OR reason IS NOT NULL)
) STRICT;
CREATE INDEX hf_quarantine_batch ON hf_quarantine (stream, shard, batch_seq);
CREATE TABLE hf_correction (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    batch_seq INTEGER NOT NULL,
    row_no INTEGER NOT NULL,
    column_name TEXT NOT NULL,
    check_name TEXT NOT NULL,
    raw TEXT NOT NULL,
    value TEXT
) STRICT;
CREATE INDEX hf_correction_batch ON hf_correction (stream, shard, batch_seq);
CREATE TABLE hf_asset (
    stream TEXT NOT NULL,
    asset TEXT NOT NULL,
    shard TEXT NOT NULL,
    clock_ns INTEGER NOT NULL,
    counter INTEGER,
    gaps INTEGER NOT NULL DEFAULT 0 CHECK (gaps >= 0),
    stored INTEGER NOT NULL CHECK (stored >= 0),
    PRIMARY KEY (stream, asset)
) STRICT;
CREATE TABLE hf_source (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    place TEXT NOT NULL,
    label TEXT NOT NULL,
    at_offset INTEGER NOT NULL CHECK (at_offset >= 0),
    line INTEGER NOT NULL CHECK (line >= 1),
    facts TEXT NOT NULL,
    PRIMARY KEY (stream, shard, place)
) STRICT;
CREATE TABLE hf_job (
    job_id TEXT NOT NULL PRIMARY KEY,
    command TEXT NOT NULL,
    stream TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'done', 'failed')),
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,
    summary TEXT
) STRICT;
CREATE TABLE hf_store (incarnation TEXT NOT NULL) STRICT;
INSERT INTO hf_store VALUES (lower(hex(randomblob(8))));
