with

customers as (
    select * from {{ ref('customer_journey') }}
),

summarised as (
    select
        journey_type,
        count(*) as customers,
        count(*) filter (where conversion_status = 'Converted') as converted_customers,
        round(
            count(*) filter (where conversion_status = 'Converted')::numeric / count(*), 6
        )::numeric(7, 6) as conversion,
        round(avg(total_sessions), 4)::numeric(18, 4) as avg_sessions,
        round(avg(engagement_score), 2)::numeric(5, 2) as avg_engagement_score,
        round(avg(conversion_probability), 6)::numeric(7, 6) as avg_conversion_probability,
        as_of
    from customers
    group by journey_type, as_of
)

select * from summarised
