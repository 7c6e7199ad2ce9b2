with

source as (
    select * from {{ source('mysql', 'transactions') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(transaction_id), '') as order_id,
        nullif(trim(customer_id), '') as customer_id,
        order_date,
        total_amount,
        discount_amount,
        nullif(trim(payment_method), '') as payment_method,
        lower(nullif(trim(order_status), '')) as order_status,
        nullif(trim(shipping_country), '') as shipping_country,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by order_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
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
from ranked
where duplicate_rank = 1 or order_id is null
