-- What each job did with the launches that it was given.
select
    job_id,
    to_timestamp(min(committed_at_ns) / 1e9) as committed_at,
    sum(received)::bigint as received,
    sum(stored)::bigint as stored,
    sum(duplicate)::bigint as duplicate,
    sum(superseded)::bigint as superseded,
    sum(quarantined)::bigint as quarantined
from hf_ledger
where stream = 'launches'
group by 1
order by 2
