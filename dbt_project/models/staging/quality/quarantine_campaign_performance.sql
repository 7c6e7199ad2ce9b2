with

survivors as (
    {{ survivors('campaign_performance', ref('base_postgres__campaign_performance')) }}
),

-- A campaign in quarantine has a first day as well.
campaigns as (
    {{ survivors('campaigns', ref('base_postgres__campaigns')) }}
),

judged as (
    select
        survivors.*,
        campaign_keys.is_quarantined as campaign_is_quarantined,
        campaigns.start_date as campaign_start_date
    from survivors
    left join {{ ref('stg_postgres__campaign_keys') }} as campaign_keys
        on survivors.campaign_id = campaign_keys.campaign_id
    left join campaigns on survivors.campaign_id = campaigns.campaign_id
)

{{ quarantined('campaign_performance', 'performance_id') }}
