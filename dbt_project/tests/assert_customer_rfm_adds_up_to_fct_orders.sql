-- Returns customers whose purchases or money differ between customer_rfm and fct_orders.
with

purchases as (
    select
        customer_id,
        count(*) as frequency,
        coalesce(sum(total_amount), 0) as monetary_value
    from {{ ref('fct_orders') }}
    where is_purchase and customer_id is not null and order_date is not null
    group by customer_id
)

select
    customer_id,
    purchases.frequency as order_frequency,
    customer_rfm.frequency as rfm_frequency,
    purchases.monetary_value as order_value,
    customer_rfm.monetary_value as rfm_value
from purchases
full outer join {{ ref('customer_rfm') }} as customer_rfm using (customer_id)
where
    purchases.frequency is distinct from customer_rfm.frequency
    or purchases.monetary_value is distinct from customer_rfm.monetary_value
