with

purchases as (
    select
        *,
        (order_date at time zone 'UTC')::date as order_day,
        customer_id is not null and row_number() over (
            partition by customer_id order by order_date, order_id collate "C"
        ) = 1 as is_first_of_customer
    from {{ ref('int_orders__enriched') }}
    where is_purchase and order_date is not null
),

monthly as (
    select
        date_trunc('month', order_day::timestamp)::date as month_start,
        coalesce(shipping_country, 'Unknown') as region,
        count(*) as orders,
        count(distinct customer_id) as customers,
        count(*) filter (where is_first_of_customer) as new_customers,
        coalesce(sum(unit_count), 0)::bigint as units,
        coalesce(sum(total_amount), 0) as revenue
    from purchases
    group by date_trunc('month', order_day::timestamp)::date, coalesce(shipping_country, 'Unknown')
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
            monthly.region = before.region
            and monthly.month_start = before.month_start + interval '1 month'
),

final as (
    select
        month_start,
        region,
        orders,
        customers,
        new_customers,
        units,
        revenue::numeric(18, 2) as revenue,
        (revenue / nullif(month_revenue, 0))::numeric(18, 10) as revenue_share,
        round(revenue / orders, 2)::numeric(18, 2) as avg_order_value,
        revenue_previous_month::numeric(18, 2) as revenue_previous_month,
        round(100 * (revenue / nullif(revenue_previous_month, 0) - 1), 2)::numeric(18, 2)
            as growth_percent,
        row_number() over (
            partition by month_start order by revenue desc, region collate "C"
        ) as revenue_rank,
        month_start + interval '1 month' <= {{ as_of() }} as is_complete_month,
        {{ as_of() }} as as_of
    from compared
)

select * from final
