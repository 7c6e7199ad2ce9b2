{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    full_refresh=false,
    meta={'keeps_nights': true},
    pre_hook="{{ forget_night() }}"
) }}

with

customers as (
    select * from {{ ref('customer_rfm') }}
),

final as (
    select
        as_of,
        customer_id,
        recency_days,
        frequency,
        monetary_value,
        recency_score,
        frequency_score,
        monetary_score,
        rfm_score,
        rfm_segment,
        customer_lifetime_value
    from customers
)

select * from final
