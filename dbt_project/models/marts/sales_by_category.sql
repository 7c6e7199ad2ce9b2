with

sold as (
    select
        *,
        date_trunc('month', order_date at time zone 'UTC')::date as month_start
    from {{ ref('int_order_items__priced') }}
    where is_purchase and order_date is not null
),

monthly as (
    select
        month_start,
        coalesce(category, 'Unknown') as category,
        count(distinct order_id) as orders,
        count(distinct customer_id) as customers,
        count(*) as lines,
        coalesce(sum(quantity), 0) as units,
        coalesce(sum(line_total), 0) as items_total,
        coalesce(sum(order_discount_share), 0) as discount,
        coalesce(sum(net_amount), 0) as revenue
    from sold
    group by month_start, coalesce(category, 'Unknown')
),

-- The month before in the calendar, not the row before: a month without sales has no row.
compared as (
    select
        monthly.*,
        before.revenue as revenue_previous_month,
        sum(monthly.revenue) over (partition by monthly.month_start) as month_revenue
    from monthly
    left join monthly as before
        on
            monthly.category = before.category
            and monthly.month_start = before.month_start + interval '1 month'
),

final as (
    select
        month_start,
        category,
        orders,
        customers,
        lines,
        units,
        items_total::numeric(18, 2) as items_total,
        discount::numeric(18, 2) as discount,
        revenue::numeric(18, 2) as revenue,
        (revenue / nullif(month_revenue, 0))::numeric(18, 10) as revenue_share,
        round(items_total / nullif(units, 0), 2)::numeric(18, 2) as avg_unit_price,
        revenue_previous_month::numeric(18, 2) as revenue_previous_month,
        round(100 * (revenue / nullif(revenue_previous_month, 0) - 1), 2)::numeric(18, 2)
            as growth_percent,
        row_number() over (
            partition by month_start order by revenue desc, category collate "C"
        ) as revenue_rank,
        month_start + interval '1 month' <= {{ as_of() }} as is_complete_month,
        {{ as_of() }} as as_of
    from compared
)

select * from final
