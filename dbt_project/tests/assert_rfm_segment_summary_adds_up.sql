-- Returns a row when the summary's totals are not those of customer_rfm.
with

summary as (
    select
        coalesce(sum(customers), 0) as customers,
        coalesce(sum(total_value), 0) as total_value
    from {{ ref('rfm_segment_summary') }}
),

customers as (
    select
        count(*) as customers,
        coalesce(sum(monetary_value), 0) as total_value
    from {{ ref('customer_rfm') }}
)

select
    summary.customers as summary_customers,
    customers.customers,
    summary.total_value as summary_value,
    customers.total_value
from summary
cross join customers
where
    summary.customers <> customers.customers
    or summary.total_value <> customers.total_value
