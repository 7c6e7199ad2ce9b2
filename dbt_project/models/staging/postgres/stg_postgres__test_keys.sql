{{ config(post_hook='analyze {{ this }}') }}

with

known as (
    select distinct test_id from {{ ref('base_postgres__ab_tests') }}
    where test_id is not null
),

quarantined as (
    select distinct business_key from {{ ref('quarantine_ab_tests') }}
),

keys as (
    select
        known.test_id,
        quarantined.business_key is not null as is_quarantined
    from known
    left join quarantined on known.test_id = quarantined.business_key
)

select * from keys
