with

orders as (
    select * from {{ ref('stg_mysql__transactions') }}
),

items as (
    select * from {{ ref('int_order_items__aggregated') }}
),

all_lines as (
    select * from {{ ref('stg_mysql__order_line_totals') }}
),

-- An order without a date cannot be shown to lie in the future, so it stays.
placed as (
    select * from orders
    where order_date is null or order_date < {{ as_of_start() }}
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
        coalesce(items.item_count, 0) as item_count,
        coalesce(all_lines.line_count, 0)
        - coalesce(items.item_count, 0) as quarantined_item_count
    from placed
    left join items on placed.order_id = items.order_id
    left join all_lines on placed.order_id = all_lines.order_id
)

select * from enriched
