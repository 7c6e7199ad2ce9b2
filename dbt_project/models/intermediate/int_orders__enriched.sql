with

orders as (
    select * from {{ ref('stg_mysql__transactions') }}
),

items as (
    select * from {{ ref('int_order_items__aggregated') }}
),

-- An order without a date cannot be shown to lie in the future, so it stays.
placed as (
    select * from orders
    where
        order_id is not null
        and (order_date is null or order_date < {{ as_of_start() }})
),

enriched as (
    select
        placed.order_id,
        placed.customer_id,
        placed.order_date,
        placed.order_status,
        placed.total_amount,
        placed.discount_amount,
        placed.payment_method,
        placed.shipping_country,
        items.unit_count,
        items.items_total,
        coalesce(
            placed.order_status = any(
                string_to_array('{{ var("purchase_statuses") | join(",") }}', ',')
            ), false
        ) as is_purchase,
        coalesce(items.item_count, 0) as item_count
    from placed
    left join items on placed.order_id = items.order_id
)

select * from enriched
