with

clean as (
    {{ clean_rows('transactions', ref('base_mysql__transactions')) }}
)

select
    order_id,
    customer_id,
    order_date,
    total_amount,
    discount_amount,
    payment_method,
    order_status,
    shipping_country,
    updated_at
from clean
