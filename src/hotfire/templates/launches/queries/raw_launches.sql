-- Every version of every launch that was ever stored, in order of arrival; nothing is ever overwritten here. Of a launch
-- that the API no longer has, the last one says so, and knows no more than its id.
select
    history.id as launch_id,
    history.name as mission_name,
    history.date_utc,
    history.success,
    history.payload_ids,
    history.launchpad as launchpad_id,
    history.static_fire_date_utc,
    history.deleted as is_deleted,
    history.received_at as ingested_at,
    ledger.job_id,
    sha256(json_array(*columns(history.* exclude (
        shard, batch_seq, row_no, late, corrected, unknown_fields, superseded, deleted, received_at, received_at_ns
    )))::varchar) as content_hash
from launches_history as history
join hf_ledger as ledger
    on ledger.stream = 'launches' and ledger.shard = history.shard and ledger.batch_seq = history.batch_seq
order by history.batch_seq, history.row_no
