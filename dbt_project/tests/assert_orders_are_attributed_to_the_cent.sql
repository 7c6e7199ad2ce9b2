-- Returns purchases whose touches do not add up to their revenue under one of the five models.
with

credited as (
    select
        order_id,
        sum(revenue_first_touch) as first_touch,
        sum(revenue_last_touch) as last_touch,
        sum(revenue_linear) as linear,
        sum(revenue_position_based) as position_based,
        sum(revenue_time_decay) as time_decay
    from {{ ref('int_attribution__credited') }}
    group by order_id
),

purchases as (
    select
        order_id,
        coalesce(total_amount, 0) as revenue
    from {{ ref('fct_orders') }}
    where is_purchase and order_date is not null
)

select
    order_id,
    purchases.revenue,
    credited.first_touch,
    credited.last_touch,
    credited.linear,
    credited.position_based,
    credited.time_decay
from purchases
full outer join credited using (order_id)
where
    (
        purchases.revenue = credited.first_touch
        and purchases.revenue = credited.last_touch
        and purchases.revenue = credited.linear
        and purchases.revenue = credited.position_based
        and purchases.revenue = credited.time_decay
    ) is not true
