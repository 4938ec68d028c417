-- When each milestone was reached: the first, tenth, fiftieth and every hundredth success.
with successes as (
    select name, date_utc, row_number() over (order by date_utc, flight_number) as milestone
    from launches
    where success
)

select milestone, date_utc as reached_at, name
from successes
where milestone in (1, 10, 50) or milestone % 100 = 0
order by milestone
