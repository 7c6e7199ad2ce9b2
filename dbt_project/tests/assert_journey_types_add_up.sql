-- Returns a row when the summary's customers or sessions are not those of customer_journey, or when
-- customer_journey is not one row a customer of the night.
with

summary as (
    select
        coalesce(sum(customers), 0) as customers,
        coalesce(sum(converted_customers), 0) as converted_customers
    from {{ ref('journey_type_summary') }}
),

journeys as (
    select
        count(*) as customers,
        count(*) filter (where converting_sessions > 0) as converted_customers
    from {{ ref('customer_journey') }}
),

customers as (
    select count(*) as customers from {{ ref('dim_customers') }}
    where is_current
)

select
    summary.customers as summary_customers,
    journeys.customers as journeys_customers,
    customers.customers
from summary
cross join journeys
cross join customers
where
    summary.customers <> journeys.customers
    or journeys.customers <> customers.customers
    or summary.converted_customers <> journeys.converted_customers
