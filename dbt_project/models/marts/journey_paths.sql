with

sessions as (
    select * from {{ ref('fct_sessions') }}
    where not is_bot
),

paths as (
    select * from {{ ref('int_page_views__paths') }}
),

by_session as (
    select
        sessions.visitor_id,
        sessions.purchases > 0 as is_converted,
        sessions.duration_seconds,
        coalesce(paths.path, '(no pages)') as path,
        count(*) over (partition by coalesce(paths.path, '(no pages)')) as path_sessions
    from sessions
    left join paths on sessions.session_id = paths.session_id
),

-- Paths that hardly anybody takes are one row, so that the rows add up to all sessions.
counted as (
    select
        case
            when path_sessions >= {{ var('path_min_sessions') }} then path
            else '(rare paths)'
        end as path,
        count(*) as sessions,
        count(distinct visitor_id) as visitors,
        count(*) filter (where is_converted) as conversions,
        avg(duration_seconds) as avg_duration_seconds
    from by_session
    group by 1
),

final as (
    select
        path,
        row_number() over (order by sessions desc, path collate "C")::integer as path_rank,
        sessions,
        visitors,
        round(sessions / sum(sessions) over (), 6)::numeric(7, 6) as share_of_sessions,
        conversions,
        round(conversions::numeric / sessions, 6)::numeric(7, 6) as conversion_rate,
        round(avg_duration_seconds, 2)::numeric(18, 2) as avg_session_duration,
        {{ as_of() }} as as_of
    from counted
)

select * from final
