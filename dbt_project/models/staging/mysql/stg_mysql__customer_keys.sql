{{ config(post_hook='analyze {{ this }}') }}

with

known as (
    select distinct customer_id from {{ ref('base_mysql__customers') }}
    where customer_id is not null
),

quarantined as (
    select distinct business_key from {{ ref('quarantine_customers') }}
),

keys as (
    select
        known.customer_id,
        quarantined.business_key is not null as is_quarantined
    from known
    left join quarantined on known.customer_id = quarantined.business_key
)

select * from keys
