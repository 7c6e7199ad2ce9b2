with

credited as (
    select * from {{ ref('int_attribution__credited') }}
),

by_channel as (
    select
        channel,
        count(session_id) as touches,
        count(*) filter (where is_last_touch) as orders_last_touch,
        sum(revenue_first_touch) as revenue_first_touch,
        sum(revenue_last_touch) as revenue_last_touch,
        sum(revenue_linear) as revenue_linear,
        sum(revenue_position_based) as revenue_position_based,
        sum(revenue_time_decay) as revenue_time_decay
    from credited
    group by channel
)

select * from by_channel
