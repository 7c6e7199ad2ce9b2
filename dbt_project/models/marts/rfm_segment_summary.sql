with

customers as (
    select * from {{ ref('customer_rfm') }}
),

summarised as (
    select
        rfm_segment,
        count(*) as customers,
        round(avg(monetary_value), 2)::numeric(18, 2) as avg_value,
        round(avg(frequency), 4)::numeric(18, 4) as avg_orders,
        sum(monetary_value)::numeric(18, 2) as total_value,
        as_of
    from customers
    group by rfm_segment, as_of
)

select * from summarised
