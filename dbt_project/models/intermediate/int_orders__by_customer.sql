with

orders as (
    select
        *,
        (order_date at time zone 'UTC')::date as order_day
    from {{ ref('int_orders__enriched') }}
    where customer_id is not null and order_date is not null
),

-- Of two orders of one moment, the higher id is the later one.
sequenced as (
    select
        *,
        case when is_purchase then payment_method end as paid_by,
        order_day - lag(order_day) over customer_time as gap_days,
        row_number() over (
            partition by customer_id, is_purchase
            order by order_date desc, order_id collate "C" desc
        ) as newest_rank
    from orders
    window customer_time as (
        partition by customer_id, is_purchase order by order_date, order_id collate "C"
    )
),

aggregated as (
    select
        customer_id,
        count(*) as orders,
        count(*) filter (where is_purchase) as purchases,
        count(*) filter (where order_status = 'cancelled') as cancelled_orders,
        count(*) filter (where order_status = 'returned') as returned_orders,
        min(order_day) filter (where is_purchase) as first_purchase_date,
        max(order_day) filter (where is_purchase) as last_purchase_date,
        {% for days in [30, 90, 180, 365] %}
            count(*) filter (
                where is_purchase and order_day >= {{ as_of() }} - {{ days }}
            ) as orders_last_{{ days }}_days,
            coalesce(sum(total_amount) filter (
                where is_purchase and order_day >= {{ as_of() }} - {{ days }}
            ), 0)::numeric(18, 2) as monetary_last_{{ days }}_days,
        {% endfor %}
        coalesce(
            min(total_amount) filter (where is_purchase), 0
        )::numeric(18, 2) as min_order_value,
        coalesce(
            max(total_amount) filter (where is_purchase), 0
        )::numeric(18, 2) as max_order_value,
        round(
            coalesce(stddev_samp(total_amount) filter (where is_purchase), 0), 6
        )::numeric(18, 6) as order_value_stddev,
        coalesce(max(total_amount) filter (
            where is_purchase and newest_rank = 1
        ), 0)::numeric(18, 2) as last_order_value,
        round(
            coalesce(stddev_samp(gap_days) filter (where is_purchase), 0), 6
        )::numeric(18, 6) as gap_days_stddev,
        coalesce(
            sum(total_amount) filter (where is_purchase), 0
        )::numeric(18, 2) as purchase_total,
        coalesce(
            sum(discount_amount) filter (where is_purchase), 0
        )::numeric(18, 2) as discount_total,
        coalesce(sum(item_count) filter (where is_purchase), 0)::bigint as items,
        coalesce(sum(unit_count) filter (where is_purchase), 0)::bigint as units,
        count(*) filter (
            where is_purchase and extract(isodow from order_day) >= 6
        ) as weekend_purchases,
        mode() within group (order by paid_by collate "C") as preferred_payment_method
    from sequenced
    group by customer_id
)

select * from aggregated
