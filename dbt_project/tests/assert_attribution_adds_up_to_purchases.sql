-- Returns a row when one of the five models does not share out exactly the revenue of all
-- purchases that have a date, or when an order has no last touch, or more than one.
with

attributed as (
    select
        coalesce(sum(orders_last_touch), 0) as orders,
        coalesce(sum(revenue_first_touch), 0) as first_touch,
        coalesce(sum(revenue_last_touch), 0) as last_touch,
        coalesce(sum(revenue_linear), 0) as linear,
        coalesce(sum(revenue_position_based), 0) as position_based,
        coalesce(sum(revenue_time_decay), 0) as time_decay
    from {{ ref('channel_attribution') }}
),

purchases as (
    select
        count(*) as orders,
        coalesce(sum(total_amount), 0) as revenue
    from {{ ref('fct_orders') }}
    where is_purchase and order_date is not null
)

select
    attributed.*,
    purchases.orders as purchases,
    purchases.revenue
from attributed
cross join purchases
where
    attributed.orders <> purchases.orders
    or purchases.revenue <> attributed.first_touch
    or purchases.revenue <> attributed.last_touch
    or purchases.revenue <> attributed.linear
    or purchases.revenue <> attributed.position_based
    or purchases.revenue <> attributed.time_decay
