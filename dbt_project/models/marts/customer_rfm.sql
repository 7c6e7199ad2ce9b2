with

scored as (
    select * from {{ ref('int_rfm__scored') }}
),

segment_map as (
    select * from {{ ref('rfm_segment_map') }}
),

current_customers as (
    select * from {{ ref('dim_customers') }}
    where is_current
),

tenured as (
    select
        *,
        greatest(
            {{ as_of() }} - first_purchase_date, {{ var('rate_min_tenure_days') }}
        ) as rate_days
    from scored
),

final as (
    select
        tenured.customer_id,
        current_customers.email,
        current_customers.first_name,
        current_customers.last_name,
        tenured.recency_days,
        tenured.frequency,
        tenured.monetary_value::numeric(18, 2) as monetary_value,
        tenured.recency_score,
        tenured.frequency_score,
        tenured.monetary_score,
        concat(
            tenured.recency_score, tenured.frequency_score, tenured.monetary_score
        ) as rfm_score,
        segment_map.rfm_segment,
        -- average order value x purchases a year x years, rounded once
        round(
            tenured.monetary_value * {{ var('rate_period_days') }} * {{ var('lifetime_years') }}
            / tenured.rate_days, 2
        )::numeric(18, 2) as customer_lifetime_value,
        round(
            tenured.monetary_value / tenured.frequency, 2
        )::numeric(18, 2) as avg_order_value,
        round(
            tenured.frequency * {{ var('rate_period_days') }}::numeric / tenured.rate_days, 6
        )::numeric(18, 6) as purchase_frequency_rate,
        tenured.first_purchase_date,
        tenured.last_purchase_date,
        {{ as_of() }} as as_of
    from tenured
    left join segment_map
        on
            tenured.recency_score = segment_map.recency_score
            and tenured.frequency_score = segment_map.frequency_score
            and tenured.monetary_score = segment_map.monetary_score
    left join current_customers on tenured.customer_id = current_customers.customer_id
)

select * from final
