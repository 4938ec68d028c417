-- name: streams
-- Every stream that ever committed a batch.
SELECT DISTINCT stream FROM hf_checkpoint ORDER BY stream;

-- name: shards
-- The shards of one stream, with owner's epoch and last batch.
SELECT shard, epoch, committed_seq FROM hf_checkpoint WHERE stream = :stream ORDER BY shard;

-- name: ledger_totals
-- The conservation equation of one stream, summed; a moved row counts once, by its new fate.
SELECT CAST(coalesce(sum(received), 0) AS bigint) AS received, CAST(coalesce(sum(stored), 0) AS bigint) AS stored,
       CAST(coalesce(sum(duplicate), 0) AS bigint) AS duplicate,
       CAST(coalesce(sum(superseded), 0) AS bigint) AS superseded,
       CAST(coalesce(sum(quarantined), 0) - coalesce(sum(moved), 0) AS bigint) AS quarantined,
       CAST(coalesce(sum(corrected), 0) AS bigint) AS corrected, CAST(coalesce(sum(late), 0) AS bigint) AS late,
       count(*) AS batches
FROM hf_ledger WHERE stream = :stream;

-- name: ledger
-- A page of a shard's ledger, in order.
SELECT * FROM hf_ledger
WHERE stream = :stream AND shard = :shard AND batch_seq > :after ORDER BY batch_seq LIMIT :page;

-- name: ledger_batch
-- One batch.
SELECT * FROM hf_ledger WHERE stream = :stream AND shard = :shard AND batch_seq = :batch_seq;

-- name: quarantined_by_batch
-- Rejected rows by the batch that received them, whatever became of them later.
SELECT batch_seq, count(*) AS rows FROM hf_quarantine
WHERE stream = :stream AND shard = :shard GROUP BY batch_seq;

-- name: moved_by_batch
-- Rows that repairs moved out of quarantine, by the repairing batch and new fate.
SELECT repaired_seq AS batch_seq, repaired_fate AS fate, count(*) AS rows FROM hf_quarantine
WHERE stream = :stream AND repaired_shard = :shard
GROUP BY repaired_seq, repaired_fate;

-- name: unfinished_plans
-- Plans without a commit: what `pending` means.
SELECT stream, shard, batch_seq, plan FROM hf_plan
WHERE stream = :stream ORDER BY shard;

-- name: places
-- Where reading goes on, by place.
SELECT place, label, at_offset, line, facts FROM hf_source WHERE stream = :stream AND shard = :shard;

-- name: version
-- A contract or rules text, by hash.
SELECT stream, kind, version, texts FROM hf_version WHERE hash = :hash;

-- name: versions
-- The contracts of one stream that were ever in use.
SELECT hash, version, entered_at_ns FROM hf_version WHERE stream = :stream AND kind = 'contract' ORDER BY entered_at_ns;

-- name: jobs
-- The latest jobs.
SELECT * FROM hf_job ORDER BY started_at_ns DESC LIMIT :page;

-- name: incarnation
-- The name this store was born with; a copy restored elsewhere keeps it.
SELECT incarnation FROM hf_store;

-- name: last_commit
-- When a stream last committed a batch.
SELECT max(committed_at_ns) AS committed_at_ns FROM hf_ledger WHERE stream = :stream;

-- name: last_change
-- When rows last came that were stored, of those that came after an instant; null where none did.
SELECT max(received_at_ns) AS received_at_ns FROM hf_ledger
WHERE stream = :stream AND stored > 0 AND repair = 0 AND received_at_ns > :after;

-- name: cleared
-- What retention took out of the store, by shard: how many rows, the last batch among them, and a time before which all were.
SELECT shard, cleared, last_seq, before_ns FROM hf_cleared WHERE stream = :stream ORDER BY shard;

-- name: cleared_batches
-- Batches of a shard with rows that only the lake still holds.
SELECT batch_seq FROM hf_ledger WHERE stream = :stream AND shard = :shard AND cleared > 0 ORDER BY batch_seq;

-- name: ledger_newest
-- The newest batches of a shard that came from a source, newest first: when, how many rows, and where they are.
SELECT batch_seq, stored - cleared AS stored, received_at_ns, committed_at_ns, first_rowid, last_rowid FROM hf_ledger
WHERE stream = :stream AND shard = :shard AND batch_seq < :before AND repair = 0 ORDER BY batch_seq DESC LIMIT :page;

-- name: backfill
-- One backfill.
SELECT number, spec, state, error FROM hf_backfill WHERE stream = :stream AND number = :number;

-- name: backfills
-- The backfills of a stream, in order.
SELECT number, spec, state, started_at_ns, ended_at_ns FROM hf_backfill WHERE stream = :stream ORDER BY number;
