with

products as (
    select * from {{ ref('int_products__described') }}
),

final as (
    select
        product_id,
        product_name,
        category,
        last_unit_price::numeric(18, 6) as last_unit_price,
        first_seen_at,
        last_seen_at,
        first_sold_at,
        last_sold_at,
        units_sold,
        first_sold_at is not null as is_sold
    from products
)

select * from final
