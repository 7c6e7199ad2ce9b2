with

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
    where campaign_id is not null and not is_bot
),

by_campaign_day as (
    select
        campaign_id,
        session_date,
        count(*) as sessions,
        count(*) filter (where is_bounce) as bounces,
        count(order_id) as converting_sessions
    from sessions
    group by campaign_id, session_date
)

select * from by_campaign_day
