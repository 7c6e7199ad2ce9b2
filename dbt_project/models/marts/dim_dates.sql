with

orders as (
    select min(order_date at time zone 'UTC')::date as first_date
    from {{ ref('int_orders__enriched') }}
),

sessions as (
    select min(session_date) as first_date from {{ ref('int_sessions__enriched') }}
),

performance as (
    select min(performance_date) as first_date
    from {{ ref('int_campaign_performance__daily') }}
),

bounds as (
    select
        date_trunc('year', least(
            date '{{ var("calendar_start") }}',
            orders.first_date,
            sessions.first_date,
            performance.first_date
        )::timestamp) as first_day,
        date_trunc('year', {{ as_of() }}::timestamp)
        + interval '2 years' - interval '1 day' as last_day
    from orders
    cross join sessions
    cross join performance
),

days as (
    select generate_series(first_day, last_day, interval '1 day')::date as date_day
    from bounds
),

final as (
    select
        date_day,
        extract(year from date_day)::integer as calendar_year,
        extract(quarter from date_day)::integer as quarter_of_year,
        extract(month from date_day)::integer as month_of_year,
        trim(to_char(date_day, 'Month')) as month_name,
        to_char(date_day, 'YYYY-MM') as year_month,
        date_trunc('month', date_day::timestamp)::date as month_start,
        extract(isoyear from date_day)::integer as iso_year,
        extract(week from date_day)::integer as iso_week,
        date_trunc('week', date_day::timestamp)::date as week_start,
        extract(day from date_day)::integer as day_of_month,
        extract(doy from date_day)::integer as day_of_year,
        extract(isodow from date_day)::integer as day_of_week,
        trim(to_char(date_day, 'Day')) as day_name,
        extract(isodow from date_day) >= 6 as is_weekend,
        date_day = (
            date_trunc('month', date_day::timestamp) + interval '1 month' - interval '1 day'
        )::date as is_month_end,
        date_day < {{ as_of() }} as is_past,
        (date_trunc('month', date_day::timestamp) + interval '1 month')::date
        <= {{ as_of() }} as is_in_complete_month
    from days
)

select * from final
