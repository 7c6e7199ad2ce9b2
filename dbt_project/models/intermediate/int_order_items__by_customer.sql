with

purchases as (
    select
        order_id,
        customer_id
    from {{ ref('int_orders__enriched') }}
    where is_purchase and customer_id is not null and order_date is not null
),

items as (
    select
        purchases.customer_id,
        items.product_id,
        items.category
    from {{ ref('stg_mysql__transaction_items') }} as items
    inner join purchases on items.order_id = purchases.order_id
),

by_category as (
    select
        customer_id,
        category,
        count(*) as category_items
    from items
    where category is not null
    group by customer_id, category
),

-- Not by row_number() = 1: PostgreSQL takes that for one row, and joins row by row.
favourites as (
    select
        customer_id,
        (array_agg(category order by category_items desc, category collate "C"))[1] as category,
        max(category_items) as category_items,
        sum(category_items) as customer_items
    from by_category
    group by customer_id
),

counted as (
    select
        customer_id,
        count(*) as items,
        count(distinct product_id) as products_bought,
        count(distinct category) as categories_bought
    from items
    group by customer_id
),

final as (
    select
        counted.customer_id,
        counted.items,
        counted.products_bought,
        counted.categories_bought,
        favourites.category as favourite_category,
        favourites.category_items as favourite_category_items,
        favourites.customer_items::bigint as categorised_items
    from counted
    left join favourites on counted.customer_id = favourites.customer_id
)

select * from final
