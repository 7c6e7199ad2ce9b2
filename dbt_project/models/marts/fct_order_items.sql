with

items as (
    select * from {{ ref('int_order_items__priced') }}
),

final as (
    select
        item_id,
        order_id,
        customer_id,
        order_date,
        is_purchase,
        product_id,
        product_name,
        category,
        quantity,
        unit_price::numeric(18, 6) as unit_price,
        discount_percent::numeric(9, 4) as discount_percent,
        line_total::numeric(18, 2) as line_total,
        order_discount_share::numeric(18, 2) as order_discount_share,
        net_amount::numeric(18, 2) as net_amount
    from items
)

select * from final
