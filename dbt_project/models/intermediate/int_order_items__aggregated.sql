with

items as (
    select * from {{ ref('stg_mysql__transaction_items') }}
),

aggregated as (
    select
        order_id,
        count(*) as item_count,
        sum(quantity) as unit_count,
        sum(line_total) as items_total
    from items
    group by order_id
)

select * from aggregated
