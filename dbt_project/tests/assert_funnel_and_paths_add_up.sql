-- Returns breakdowns of the funnel that do not add up to all entries, steps whose reached_previous
-- is not what reached the step before, and paths that are not all sessions of people.
with

breakdowns as (
    select
        breakdown,
        step_number,
        sum(entered) as entered,
        sum(reached) as reached,
        sum(reached_previous) as reached_previous,
        sum(censored) as censored
    from {{ ref('conversion_funnel') }}
    group by breakdown, step_number
),

everybody as (
    select * from breakdowns
    where breakdown = 'all'
),

paths as (
    select coalesce(sum(sessions), 0) as sessions from {{ ref('journey_paths') }}
),

sessions as (
    select count(*) as sessions from {{ ref('fct_sessions') }}
    where not is_bot
)

select
    breakdowns.breakdown,
    breakdowns.step_number
from breakdowns
inner join everybody on breakdowns.step_number = everybody.step_number
left join everybody as before on breakdowns.step_number = before.step_number + 1
where
    breakdowns.entered <> everybody.entered
    or breakdowns.reached <> everybody.reached
    or breakdowns.censored <> everybody.censored
    or breakdowns.reached_previous <> coalesce(before.reached, everybody.entered)
union all
select
    'paths' as breakdown,
    null as step_number
from paths
cross join sessions
where paths.sessions <> sessions.sessions
