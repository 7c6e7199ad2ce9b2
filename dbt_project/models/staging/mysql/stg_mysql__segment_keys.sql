{{ config(post_hook='analyze {{ this }}') }}

with

known as (
    select distinct segment_id from {{ ref('base_mysql__customer_segments') }}
    where segment_id is not null
),

quarantined as (
    select distinct business_key from {{ ref('quarantine_customer_segments') }}
),

keys as (
    select
        known.segment_id,
        quarantined.business_key is not null as is_quarantined
    from known
    left join quarantined on known.segment_id = quarantined.business_key
)

select * from keys
