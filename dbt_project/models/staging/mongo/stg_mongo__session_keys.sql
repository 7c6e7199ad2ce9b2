{{ config(post_hook='analyze {{ this }}') }}

with

known as (
    select distinct session_id from {{ ref('base_mongo__sessions') }}
    where session_id is not null
),

quarantined as (
    select distinct business_key from {{ ref('quarantine_sessions') }}
),

keys as (
    select
        known.session_id,
        quarantined.business_key is not null as is_quarantined
    from known
    left join quarantined on known.session_id = quarantined.business_key
)

select * from keys
