with

orders as (
    select * from {{ ref('int_orders__enriched') }}
),

final as (
    select
        order_id,
        customer_id,
        order_date,
        order_status,
        is_purchase,
        total_amount::numeric(18, 2) as total_amount,
        discount_amount::numeric(18, 2) as discount_amount,
        payment_method,
        shipping_country,
        item_count,
        unit_count,
        items_total::numeric(18, 2) as items_total,
        quarantined_item_count
    from orders
)

select * from final
