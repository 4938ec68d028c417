-- Rules: which rows of a batch they were told of, what detectors found and remember, the conditions that came of it.
ALTER TABLE hf_asset ADD COLUMN heard_at_ns INTEGER;
ALTER TABLE hf_ledger ADD COLUMN rules TEXT NOT NULL DEFAULT '';
CREATE TABLE hf_finding (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    batch_seq INTEGER NOT NULL,
    rule TEXT NOT NULL,
    asset TEXT NOT NULL,
    channel TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    severity TEXT,
    value REAL,
    limit_value REAL,
    kind TEXT NOT NULL CHECK (kind IN ('level', 'late', 'range')),
    message TEXT NOT NULL
) STRICT;
CREATE INDEX hf_finding_asset ON hf_finding (stream, asset, at_ns);
CREATE TABLE hf_condition (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    shard TEXT NOT NULL,
    rule TEXT NOT NULL,
    asset TEXT NOT NULL,
    channel TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    level TEXT,
    severity TEXT NOT NULL,
    raised_at_ns INTEGER NOT NULL,
    returned_at_ns INTEGER,
    value REAL,
    limit_value REAL,
    message TEXT NOT NULL,
    batch_seq INTEGER NOT NULL,
    UNIQUE (stream, revision, shard, rule, asset, channel, number),
    CHECK ((level IS NULL) = (returned_at_ns IS NOT NULL))
) STRICT;
CREATE INDEX hf_condition_asset ON hf_condition (stream, asset, raised_at_ns);
-- What detectors remember of an asset, as JSON.
CREATE TABLE hf_detector (
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    asset TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (stream, shard, asset)
) STRICT;
-- Alarms: one row a life; their transitions; what people ask for; what is to be told, and to whom.
CREATE TABLE hf_alarm (
    alarm_id TEXT NOT NULL PRIMARY KEY,
    stream TEXT NOT NULL,
    rule TEXT NOT NULL,
    asset TEXT NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('NORMAL', 'UNACK_ALARM', 'ACK_ALARM', 'RTN_UNACK', 'LATCH_UNACK', 'LATCH_ACK',
        'SHELVED', 'SUPPRESSED_BY_DESIGN', 'OUT_OF_SERVICE')),
    is_over INTEGER NOT NULL CHECK (is_over IN (0, 1)),
    severity TEXT NOT NULL,
    raised_at_ns INTEGER,
    returned_at_ns INTEGER,
    opened_at_ns INTEGER NOT NULL,
    events INTEGER NOT NULL CHECK (events >= 1),
    alarm TEXT NOT NULL
) STRICT;
CREATE INDEX hf_alarm_open ON hf_alarm (stream, asset) WHERE is_over = 0;
CREATE TABLE hf_alarm_event (
    alarm_id TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    what TEXT NOT NULL,
    at_ns INTEGER,
    recorded_at_ns INTEGER NOT NULL,
    who TEXT NOT NULL,
    comment TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (alarm_id, number)
) STRICT;
CREATE INDEX hf_alarm_event_recorded ON hf_alarm_event (recorded_at_ns);
CREATE TABLE hf_alarm_action (
    action_id TEXT NOT NULL PRIMARY KEY,
    stream TEXT NOT NULL,
    point TEXT NOT NULL,
    action TEXT,
    change TEXT,
    asked_at_ns INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'refused')),
    refusal TEXT NOT NULL DEFAULT '',
    CHECK ((action IS NULL) <> (change IS NULL))
) STRICT;
CREATE INDEX hf_alarm_action_pending ON hf_alarm_action (stream, asked_at_ns) WHERE state = 'pending';
CREATE TABLE hf_outbox (
    key TEXT NOT NULL PRIMARY KEY,
    target TEXT NOT NULL,
    alarm_id TEXT NOT NULL,
    what TEXT NOT NULL,
    severity TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at_ns INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'given_up')),
    tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    next_at_ns INTEGER NOT NULL DEFAULT 0,
    sent_as TEXT,
    ended_at_ns INTEGER,
    error TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'pending') = (ended_at_ns IS NULL)),
    CHECK ((state = 'sent') = (sent_as IS NOT NULL))
) STRICT;
CREATE INDEX hf_outbox_pending ON hf_outbox (target, created_at_ns) WHERE state = 'pending';
CREATE INDEX hf_outbox_sent ON hf_outbox (target, ended_at_ns) WHERE state = 'sent';
CREATE INDEX hf_outbox_alarm ON hf_outbox (alarm_id);
