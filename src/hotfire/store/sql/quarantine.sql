-- name: quarantine_list
-- Rows in quarantine, oldest first, without their bytes.
SELECT id, stream, shard, batch_seq, row_no, contract, place, at_offset, line, faults, tries, state, repaired_seq, reason
FROM hf_quarantine
WHERE (:stream = '' OR stream = :stream) AND (:state = '' OR state = :state) AND id > :after
ORDER BY id LIMIT :page;

-- name: quarantine_row
-- One row, whole.
SELECT * FROM hf_quarantine WHERE id = :id;

-- name: quarantine_raw
-- A page of rows with their bytes, as a replay reads them.
SELECT id, shard, batch_seq, row_no, contract, place, at_offset, line, facts, raw, faults, tries
FROM hf_quarantine
WHERE stream = :stream AND state = 'open' AND tries < :tries AND id > :after ORDER BY id LIMIT :page;

-- name: quarantine_between
-- Rows by id range, whatever their state, as an unfinished repair reads them again.
SELECT id, shard, batch_seq, row_no, contract, place, at_offset, line, facts, raw, faults, tries, state
FROM hf_quarantine WHERE stream = :stream AND id >= :first AND id < :end ORDER BY id;

-- name: quarantine_given_up
-- Rows that were tried as often as the loop guard allows.
SELECT count(*) AS rows FROM hf_quarantine WHERE stream = :stream AND state = 'open' AND tries >= :tries;

-- name: quarantine_faults
-- What is still in quarantine (repaired rows have left it; discarded ones stay as tombstones), for statistics and digest.
SELECT id, state, faults, raw FROM hf_quarantine
WHERE stream = :stream AND state <> 'repaired' AND id > :after ORDER BY id LIMIT :page;

-- name: quarantine_of_batch
-- The rejected rows of one batch.
SELECT id, row_no, place, line, faults, state FROM hf_quarantine
WHERE stream = :stream AND shard = :shard AND batch_seq = :batch_seq ORDER BY row_no;

-- name: corrections_of_batch
-- The corrected values of one batch.
SELECT row_no, column_name, check_name, raw, value FROM hf_correction
WHERE stream = :stream AND shard = :shard AND batch_seq = :batch_seq ORDER BY row_no, column_name;

-- name: quarantine_arrived
-- What is still in quarantine of some batches, whole, in the order of arrival.
SELECT batch_seq, row_no, place, at_offset, line, facts, raw, faults FROM hf_quarantine
WHERE stream = :stream AND shard = :shard AND batch_seq >= :first AND batch_seq <= :last AND state <> 'repaired'
ORDER BY batch_seq, row_no;

-- name: corrections_arrived
-- The corrected values of some batches, in the order of arrival.
SELECT batch_seq, row_no, column_name, check_name, raw, value FROM hf_correction
WHERE stream = :stream AND shard = :shard AND batch_seq >= :first AND batch_seq <= :last
ORDER BY batch_seq, row_no;

-- name: quarantine_ahead
-- The newest rejected rows, among the last 100,000, that broke a check as `{"check":"event_time.ahead"`; when they came.
SELECT q.raw, q.facts, q.contract, l.received_at_ns FROM hf_quarantine q
JOIN hf_ledger l ON l.stream = q.stream AND l.shard = q.shard AND l.batch_seq = q.batch_seq
WHERE q.stream = :stream AND q.faults LIKE :sign AND q.id > (SELECT coalesce(max(id), 0) - 100000 FROM hf_quarantine)
ORDER BY q.id DESC LIMIT :page;
