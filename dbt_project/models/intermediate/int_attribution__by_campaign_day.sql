with

credited as (
    select * from {{ ref('int_attribution__credited') }}
    where campaign_id is not null
),

by_campaign_day as (
    select
        campaign_id,
        order_day,
        count(*) filter (where is_last_touch) as orders_last_touch,
        sum(revenue_first_touch) as revenue_first_touch,
        sum(revenue_last_touch) as revenue_last_touch,
        sum(revenue_linear) as revenue_linear,
        sum(revenue_position_based) as revenue_position_based,
        sum(revenue_time_decay) as revenue_time_decay
    from credited
    group by campaign_id, order_day
)

select * from by_campaign_day
