with

source as (
    select * from {{ source('mysql', 'transaction_items') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(item_id), '') as item_id,
        nullif(trim(transaction_id), '') as order_id,
        nullif(trim(product_id), '') as product_id,
        nullif(trim(product_name), '') as product_name,
        nullif(trim(category), '') as category,
        quantity,
        unit_price,
        discount_percent,
        line_total,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by item_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
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
from ranked
where duplicate_rank = 1 or item_id is null
