with

customers as (
    select * from {{ ref('int_rfm__aggregated') }}
),

-- Equal values are told apart by customer_id, in byte order, so that every run and every
-- server draws the lines between the fifths at the same customers.
scored as (
    select
        *,
        ntile(5) over (
            order by recency_days desc, customer_id collate "C"
        ) as recency_score,
        ntile(5) over (
            order by frequency, customer_id collate "C"
        ) as frequency_score,
        ntile(5) over (
            order by monetary_value, customer_id collate "C"
        ) as monetary_score
    from customers
)

select * from scored
