{{ config(post_hook='analyze {{ this }}') }}

with

known as (
    select distinct campaign_id from {{ ref('base_postgres__campaigns') }}
    where campaign_id is not null
),

quarantined as (
    select distinct business_key from {{ ref('quarantine_campaigns') }}
),

keys as (
    select
        known.campaign_id,
        quarantined.business_key is not null as is_quarantined
    from known
    left join quarantined on known.campaign_id = quarantined.business_key
)

select * from keys
