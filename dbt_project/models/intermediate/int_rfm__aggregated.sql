with

orders as (
    select * from {{ ref('int_orders__enriched') }}
),

-- A purchase that nobody made, or at no known time, can count for no customer's recency.
purchases as (
    select
        customer_id,
        total_amount,
        (order_date at time zone 'UTC')::date as purchase_date
    from orders
    where
        is_purchase
        and customer_id is not null
        and order_date is not null
),

aggregated as (
    select
        customer_id,
        min(purchase_date) as first_purchase_date,
        max(purchase_date) as last_purchase_date,
        {{ as_of() }} - max(purchase_date) as recency_days,
        count(*) as frequency,
        coalesce(sum(total_amount), 0) as monetary_value
    from purchases
    group by customer_id
)

select * from aggregated
