-- name: findings
-- A page of what detectors found in one stream.
SELECT id, rule, asset, channel, at_ns, severity, value, limit_value, kind, message FROM hf_finding
WHERE stream = :stream AND id > :after ORDER BY id LIMIT :page;

-- name: findings_of_batches
-- What detectors found in some batches, under one name of a shard.
SELECT rule, asset, channel, at_ns, severity, value, limit_value, kind, message FROM hf_finding
WHERE stream = :stream AND shard = :shard AND batch_seq >= :first AND batch_seq <= :last ORDER BY id;

-- name: conditions_of_batches
-- The conditions that were raised in some batches, as they stand now.
SELECT rule, asset, channel, number, level, severity, raised_at_ns, returned_at_ns, value, limit_value, message
FROM hf_condition WHERE stream = :stream AND revision = 1 AND shard = :shard
AND batch_seq >= :first AND batch_seq <= :last ORDER BY id;

-- name: conditions
-- A page of the conditions of one stream, in one revision of the ledger.
SELECT id, shard, rule, asset, channel, number, level, severity, raised_at_ns, returned_at_ns, value, limit_value,
       message, batch_seq
FROM hf_condition WHERE stream = :stream AND revision = :revision AND id > :after ORDER BY id LIMIT :page;

-- name: rules
-- The rules of one stream that were ever in use, in the order in which they were entered.
SELECT hash, version, texts, entered_at_ns FROM hf_version WHERE stream = :stream AND kind = 'rules'
ORDER BY entered_at_ns;

-- name: heard
-- When rows last came from each asset of one stream, as they happened, by the wall clock.
SELECT asset, heard_at_ns FROM hf_asset WHERE stream = :stream AND heard_at_ns IS NOT NULL ORDER BY asset;

-- name: rules_entered
-- The hashes of the rules of one stream, in the order in which they were entered.
SELECT hash FROM hf_version WHERE stream = :stream AND kind = 'rules' ORDER BY entered_at_ns;

-- name: alarms
-- Every alarm of one stream, also those that are over.
SELECT alarm FROM hf_alarm WHERE stream = :stream;

-- name: alarms_open
-- The alarms of one stream that are not over.
SELECT alarm FROM hf_alarm WHERE stream = :stream AND is_over = 0;

-- name: alarms_of_assets
-- The alarms of one stream about assets as a whole that are not over.
SELECT alarm FROM hf_alarm WHERE stream = :stream AND channel = '' AND is_over = 0;

-- name: alarms_named
-- Some alarms whose id is in a range, which is how it begins.
SELECT alarm FROM hf_alarm WHERE alarm_id >= :first_id AND alarm_id < :end_id ORDER BY alarm_id LIMIT 5;

-- name: alarms_of_point
-- Every alarm of one rule, asset and channel, the newest last.
SELECT alarm FROM hf_alarm WHERE stream = :stream AND rule = :rule AND asset = :asset AND channel = :channel
ORDER BY opened_at_ns, coalesce(raised_at_ns, opened_at_ns), alarm_id;

-- name: alarm_events
-- What happened to one alarm, in order.
SELECT number, what, at_ns, recorded_at_ns, who, comment, severity, state FROM hf_alarm_event
WHERE alarm_id = :alarm_id ORDER BY number;

-- name: alarm_notes
-- Of every alarm of one stream: what people did, and what took their acknowledgement back, in order.
SELECT e.alarm_id, e.what, e.recorded_at_ns, e.who, e.comment FROM hf_alarm a
JOIN hf_alarm_event e ON e.alarm_id = a.alarm_id
WHERE a.stream = :stream AND e.what IN ('TRIGGERED', 'SEVERITY_INCREASED', 'ACKNOWLEDGED', 'SHELVED', 'SUPPRESSED',
    'OUT_OF_SERVICE')
ORDER BY e.alarm_id, e.number;

-- name: alarm_notes_open
-- As `alarm_notes`, of the alarms that are not over.
SELECT e.alarm_id, e.what, e.recorded_at_ns, e.who, e.comment FROM hf_alarm a
JOIN hf_alarm_event e ON e.alarm_id = a.alarm_id
WHERE a.stream = :stream AND a.is_over = 0 AND e.what IN ('TRIGGERED', 'SEVERITY_INCREASED', 'ACKNOWLEDGED', 'SHELVED',
    'SUPPRESSED', 'OUT_OF_SERVICE')
ORDER BY e.alarm_id, e.number;

-- name: alarm_turns
-- When the alarms of one stream became active, worse, and returned: event times, in order.
SELECT a.alarm_id, a.rule, a.asset, a.channel, e.what, e.at_ns, e.severity, e.state FROM hf_alarm a
JOIN hf_alarm_event e ON e.alarm_id = a.alarm_id
WHERE a.stream = :stream AND e.at_ns IS NOT NULL ORDER BY a.alarm_id, e.number;

-- name: newest_row
-- The greatest event time of one stream; null where it has no rows.
SELECT max(clock_ns) AS clock_ns FROM hf_asset WHERE stream = :stream;

-- name: alarm_actions_pending
-- What was asked of the alarms of one stream and has not been done yet, in the order of asking.
SELECT action, point FROM hf_alarm_action
WHERE stream = :stream AND state = 'pending' AND action IS NOT NULL ORDER BY asked_at_ns, action_id;

-- name: conditions_of_point
-- The conditions of one rule, asset and channel that were raised from one event time to another.
SELECT shard, number, level, severity, raised_at_ns, returned_at_ns, value, limit_value, message, batch_seq
FROM hf_condition WHERE stream = :stream AND revision = 1 AND rule = :rule AND asset = :asset AND channel = :channel
AND raised_at_ns >= :since_ns AND raised_at_ns <= :until_ns ORDER BY raised_at_ns, id;

-- name: findings_of_point
-- What one rule found of one asset and channel from one event time to another.
SELECT at_ns, severity, value, limit_value, kind, message FROM hf_finding
WHERE stream = :stream AND rule = :rule AND asset = :asset AND channel = :channel
AND at_ns >= :since_ns AND at_ns <= :until_ns ORDER BY at_ns, id;

-- name: notices
-- What waits to be told and what was given up since the target last took one, by target; since when, and the last trouble.
SELECT o.target, CAST(sum(CASE WHEN state = 'pending' THEN 1 ELSE 0 END) AS bigint) AS waiting,
       min(CASE WHEN state = 'pending' THEN created_at_ns END) AS since_ns,
       CAST(sum(CASE WHEN state = 'given_up' AND ended_at_ns > coalesce(sent_at_ns, 0) THEN 1 ELSE 0 END) AS bigint) AS given_up,
       max(CASE WHEN state <> 'sent' AND error <> '' THEN error END) AS error
FROM hf_outbox o LEFT JOIN (
    SELECT target, max(ended_at_ns) AS sent_at_ns FROM hf_outbox WHERE state = 'sent' GROUP BY target
) s ON s.target = o.target
GROUP BY o.target ORDER BY o.target;

-- name: targets_due
-- The targets for which notices wait whose next attempt is due.
SELECT DISTINCT target FROM hf_outbox WHERE state = 'pending' AND next_at_ns <= :now_ns ORDER BY target;

-- name: revisions
-- The revisions of one stream's ledger of conditions after the first, which is the engine's own, in order.
SELECT revision, contract, rules, since_ns, until_ns, conditions, reach, job_id, judged_at_ns FROM hf_revision
WHERE stream = :stream ORDER BY revision;

-- name: conditions_as_of
-- A page of the conditions of one stream in the revision that was the newest at an instant.
SELECT id, revision, shard, rule, asset, channel, number, level, severity, raised_at_ns, returned_at_ns, value,
       limit_value, message, batch_seq
FROM hf_condition WHERE stream = :stream AND id > :after AND revision = (
    SELECT coalesce(max(revision), 1) FROM hf_revision WHERE stream = :stream AND judged_at_ns <= :as_of
) ORDER BY id LIMIT :page;
