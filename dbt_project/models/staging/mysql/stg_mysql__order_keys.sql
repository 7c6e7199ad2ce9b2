{{ config(post_hook='analyze {{ this }}') }}

with

known as (
    select distinct order_id from {{ ref('base_mysql__transactions') }}
    where order_id is not null
),

quarantined as (
    select distinct business_key from {{ ref('quarantine_transactions') }}
),

keys as (
    select
        known.order_id,
        quarantined.business_key is not null as is_quarantined
    from known
    left join quarantined on known.order_id = quarantined.business_key
)

select * from keys
