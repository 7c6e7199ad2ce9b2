-- Returns customers of the night without features or the reverse, and those whose purchases, money
-- or sessions are not what the facts say: a join that repeats rows would show here.
with

customers as (
    select customer_id from {{ ref('dim_customers') }}
    where is_current
),

features as (
    select * from {{ ref('customer_features') }}
    where as_of = {{ as_of() }}
),

purchases as (
    select
        customer_id,
        count(*) as frequency,
        sum(total_amount) as monetary_value
    from {{ ref('fct_orders') }}
    where is_purchase and order_date is not null
    group by customer_id
),

sessions as (
    select
        customer_id,
        count(*) as total_sessions,
        sum(page_views) as total_page_views
    from {{ ref('fct_sessions') }}
    where not is_bot
    group by customer_id
)

select
    customer_id,
    features.frequency,
    purchases.frequency as order_frequency,
    features.total_sessions,
    sessions.total_sessions as fact_sessions
from customers
full outer join features using (customer_id)
left join purchases using (customer_id)
left join sessions using (customer_id)
where
    customers.customer_id is null
    or features.customer_id is null
    or features.frequency <> coalesce(purchases.frequency, 0)
    or features.monetary_value <> coalesce(purchases.monetary_value, 0)
    or features.total_sessions <> coalesce(sessions.total_sessions, 0)
    or features.total_page_views <> coalesce(sessions.total_page_views, 0)
