-- stream: launches
-- All launches that are known, past and planned, as each change left them. The rate is of those whose outcome is known:
-- 1 is all of them. Beside these columns every row has id, job_id, batch_size, kind and updated_at.
select
    count(*) as total_launches,
    count(case when success then 1 end) as total_successful_launches,
    count(case when not success then 1 end) as total_failed_launches,
    cast(count(case when success then 1 end) as double precision) / nullif(count(success), 0) as success_rate,
    min(date_utc_ns) as earliest_launch_date_ns,
    max(date_utc_ns) as latest_launch_date_ns,
    count(distinct launchpad) as total_launch_sites
from launches
