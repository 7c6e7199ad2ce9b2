with

items as (
    select * from {{ ref('stg_mysql__transaction_items') }}
),

orders as (
    select * from {{ ref('int_orders__enriched') }}
),

-- What the order cost before its discount: lines that cleanup took out are part of it.
joined as (
    select
        items.item_id,
        items.order_id,
        orders.customer_id,
        orders.order_date,
        orders.is_purchase,
        orders.shipping_country,
        items.product_id,
        items.product_name,
        items.category,
        items.quantity,
        items.unit_price,
        items.discount_percent,
        items.line_total,
        coalesce(orders.discount_amount, 0) as order_discount,
        orders.total_amount + coalesce(orders.discount_amount, 0) as order_gross,
        orders.total_amount,
        orders.items_total
    from items
    inner join orders on items.order_id = orders.order_id
    where items.item_id is not null
),

-- Each line bears its part of the order's discount, in whole cents towards zero.
shared as (
    select
        *,
        coalesce(trunc(order_discount * line_total / nullif(order_gross, 0), 2), 0)
            as discount_share,
        row_number() over (
            partition by order_id
            order by line_total desc nulls last, item_id collate "C"
        ) as size_rank
    from joined
),

-- What is then left up to the amount charged is borne by the largest line, unless part of the
-- order is not here.
priced as (
    select
        *,
        discount_share
        + case
            when size_rank = 1 and abs(order_gross - items_total) <= 0.01
                then
                    items_total - total_amount
                    - sum(discount_share) over (partition by order_id)
            else 0
        end as order_discount_share
    from shared
),

final as (
    select
        item_id,
        order_id,
        customer_id,
        order_date,
        is_purchase,
        shipping_country,
        product_id,
        product_name,
        category,
        quantity,
        unit_price,
        discount_percent,
        line_total,
        order_discount_share::numeric(18, 2) as order_discount_share,
        (line_total - order_discount_share)::numeric(18, 2) as net_amount
    from priced
)

select * from final
