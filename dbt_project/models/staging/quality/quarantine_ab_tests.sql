with

survivors as (
    {{ survivors('ab_tests', ref('base_postgres__ab_tests')) }}
),

judged as (
    select
        survivors.*,
        campaigns.is_quarantined as campaign_is_quarantined
    from survivors
    left join {{ ref('stg_postgres__campaign_keys') }} as campaigns
        on survivors.campaign_id = campaigns.campaign_id
)

{{ quarantined('ab_tests', 'test_id') }}
