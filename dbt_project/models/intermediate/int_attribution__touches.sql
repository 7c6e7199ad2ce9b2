{%- set window = "interval '" ~ var('attribution_window_days') ~ " days'" -%}
with

sessions as (
    select
        session_id,
        visitor_id,
        customer_id,
        session_start,
        channel,
        campaign_id
    from {{ ref('int_sessions__enriched') }}
    where not is_bot
),

tracked as (
    select
        tracked_purchases.order_id,
        sessions.visitor_id,
        sessions.customer_id
    from {{ ref('int_purchases__tracked') }} as tracked_purchases
    inner join sessions on tracked_purchases.session_id = sessions.session_id
),

-- An order without a customer is its session's visitor's.
purchases as (
    select
        orders.order_id,
        coalesce(orders.customer_id, tracked.customer_id) as customer_id,
        orders.order_date,
        coalesce(orders.total_amount, 0)::numeric(18, 2) as revenue,
        coalesce(orders.customer_id, tracked.visitor_id) as visitor_id
    from {{ ref('int_orders__enriched') }} as orders
    left join tracked on orders.order_id = tracked.order_id
    where orders.is_purchase and orders.order_date is not null
),

paths as (
    select
        purchases.order_id,
        purchases.customer_id,
        purchases.order_date,
        purchases.revenue,
        sessions.session_id,
        sessions.session_start as touched_at,
        sessions.campaign_id,
        coalesce(sessions.channel, 'Untracked') as channel,
        bool_or(sessions.channel <> 'Direct') over (
            partition by purchases.order_id
        ) as has_other_than_direct
    from purchases
    left join sessions
        on
            purchases.visitor_id = sessions.visitor_id
            and purchases.order_date >= sessions.session_start
            and purchases.order_date <= sessions.session_start + {{ window }}
),

touches as (
    select * from paths
    where
        channel <> 'Direct'
        or has_other_than_direct is not true
        or not {{ var('attribution_ignores_direct') }}
),

numbered as (
    select
        order_id,
        customer_id,
        order_date,
        revenue,
        session_id,
        touched_at,
        channel,
        campaign_id,
        row_number() over path as touch_number,
        count(*) over (partition by order_id) as touches,
        max(touched_at) over (partition by order_id) as last_touched_at
    from touches
    window path as (partition by order_id order by touched_at, session_id collate "C")
)

select * from numbered
