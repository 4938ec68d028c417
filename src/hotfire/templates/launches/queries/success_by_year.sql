-- Of the launches of each year whose outcome is known: how many succeeded; 1 is all of them.
select
    year(date_utc) as year,
    count(*) as launches,
    count(*) filter (success) as successful_launches,
    avg(success::int) as success_rate
from launches
where success is not null
group by 1
order by 1
