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
        count(*) as category_items,
        sum(count(*)) over (partition by customer_id) as customer_items,
        row_number() over (
            partition by customer_id order by count(*) desc, category collate "C"
        ) as favour_rank
    from items
    where category is not null
    group by customer_id, category
),

favourites as (
    select * from by_category
    where favour_rank = 1
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
