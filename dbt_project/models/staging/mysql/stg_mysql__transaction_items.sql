with

clean as (
    {{ clean_rows('transaction_items', ref('base_mysql__transaction_items')) }}
)

select
    item_id,
    order_id,
    product_id,
    product_name,
    category,
    quantity,
    unit_price,
    discount_percent,
    line_total,
    updated_at
from clean
