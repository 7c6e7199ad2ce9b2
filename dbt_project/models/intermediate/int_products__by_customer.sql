with

views as (
    select
        session_id,
        product_id,
        category
    from {{ ref('stg_mongo__product_interactions') }}
    where interaction_type = 'view' and occurred_at < {{ as_of_start() }}
),

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
    where customer_id is not null and not is_bot
),

viewed as (
    select
        sessions.customer_id,
        views.product_id,
        views.category
    from views
    inner join sessions on views.session_id = sessions.session_id
    where views.product_id is not null
),

by_product as (
    select
        customer_id,
        product_id,
        min(category collate "C") as category,
        count(*) as product_views
    from viewed
    group by customer_id, product_id
),

aggregated as (
    select
        customer_id,
        count(*) as products_viewed,
        count(distinct category) as categories_viewed,
        count(*) filter (where product_views > 1) as products_viewed_again
    from by_product
    group by customer_id
)

select * from aggregated
