-- Returns months in which the regions are not the purchases, or the categories not their lines.
with

orders as (
    select
        date_trunc('month', order_date at time zone 'UTC')::date as month_start,
        count(*) as orders,
        coalesce(sum(total_amount), 0) as revenue
    from {{ ref('fct_orders') }}
    where is_purchase and order_date is not null
    group by date_trunc('month', order_date at time zone 'UTC')::date
),

regions as (
    select
        month_start,
        sum(orders) as orders,
        sum(revenue) as revenue
    from {{ ref('sales_by_region') }}
    group by month_start
),

items as (
    select
        date_trunc('month', order_date at time zone 'UTC')::date as month_start,
        count(*) as lines,
        coalesce(sum(net_amount), 0) as revenue
    from {{ ref('fct_order_items') }}
    where is_purchase and order_date is not null
    group by date_trunc('month', order_date at time zone 'UTC')::date
),

categories as (
    select
        month_start,
        sum(lines) as lines,
        sum(revenue) as revenue
    from {{ ref('sales_by_category') }}
    group by month_start
)

select
    'sales_by_region' as mart,
    month_start,
    orders.revenue as revenue_sold,
    regions.revenue
from orders
full outer join regions using (month_start)
where (orders.orders = regions.orders and orders.revenue = regions.revenue) is not true
union all
select
    'sales_by_category' as mart,
    month_start,
    items.revenue as revenue_sold,
    categories.revenue
from items
full outer join categories using (month_start)
where (items.lines = categories.lines and items.revenue = categories.revenue) is not true
