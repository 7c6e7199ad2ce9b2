with

lines as (
    select * from {{ ref('int_order_items__priced') }}
),

interactions as (
    select * from {{ ref('stg_mongo__product_interactions') }}
    where occurred_at < {{ as_of_start() }} and product_id is not null
),

-- One row per way in which a product was described: few, of many lines and interactions.
line_descriptions as (
    select
        product_id,
        product_name,
        category,
        min(order_date) as first_at,
        max(order_date) as last_at,
        min(order_date) filter (where is_purchase) as first_sold_at,
        max(order_date) filter (where is_purchase) as last_sold_at,
        coalesce(sum(quantity) filter (where is_purchase), 0) as units_sold,
        1 as source_rank
    from lines
    where product_id is not null
    group by product_id, product_name, category
),

interaction_descriptions as (
    select
        product_id,
        product_name,
        category,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at,
        null::timestamptz as first_sold_at,
        null::timestamptz as last_sold_at,
        0::bigint as units_sold,
        2 as source_rank
    from interactions
    group by product_id, product_name, category
),

descriptions as (
    select * from line_descriptions
    union all
    select * from interaction_descriptions
),

seen as (
    select
        product_id,
        min(first_at) as first_seen_at,
        max(last_at) as last_seen_at,
        min(first_sold_at) as first_sold_at,
        max(last_sold_at) as last_sold_at,
        sum(units_sold)::bigint as units_sold
    from descriptions
    group by product_id
),

-- What the shop wrote on an order counts before what the tracker saw on a page, and of each the
-- latest.
latest as (
    select distinct on (product_id)
        product_id,
        product_name,
        category
    from descriptions
    order by
        product_id asc,
        source_rank asc,
        last_at desc nulls last,
        product_name collate "C" asc nulls last,
        category collate "C" asc nulls last
),

last_prices as (
    select distinct on (product_id)
        product_id,
        unit_price as last_unit_price
    from lines
    where product_id is not null and unit_price is not null
    order by product_id asc, order_date desc nulls last, item_id collate "C" desc
),

final as (
    select
        seen.product_id,
        latest.product_name,
        latest.category,
        last_prices.last_unit_price,
        seen.first_seen_at,
        seen.last_seen_at,
        seen.first_sold_at,
        seen.last_sold_at,
        seen.units_sold
    from seen
    inner join latest on seen.product_id = latest.product_id
    left join last_prices on seen.product_id = last_prices.product_id
)

select * from final
