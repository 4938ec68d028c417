-- Launches a month: those that are over, by their date in UTC.
select date_trunc('month', date_utc)::date as month, count(*) as launches
from launches
where not upcoming
group by 1
order by 1
