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
SELECT id, shard, rule, asset, channel, number, level, severity, raised_at_ns, returned_at_ns, value, limit_value, message
FROM hf_condition WHERE stream = :stream AND revision = :revision AND id > :after ORDER BY id LIMIT :page;

-- name: rules
-- The rules of one stream that were ever in use, in the order in which they were entered.
SELECT hash, version, texts, entered_at_ns FROM hf_version WHERE stream = :stream AND kind = 'rules'
ORDER BY entered_at_ns;

-- name: heard
-- When rows last came from each asset of one stream, as they happened: clocks of event time, and of the wall.
SELECT asset, clock_ns, heard_at_ns FROM hf_asset WHERE stream = :stream AND heard_at_ns IS NOT NULL ORDER BY asset;

-- name: rules_entered
-- The hashes of the rules of one stream, in the order in which they were entered.
SELECT hash FROM hf_version WHERE stream = :stream AND kind = 'rules' ORDER BY entered_at_ns;
