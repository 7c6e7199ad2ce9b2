with

judged as (
    {{ survivors('campaigns', ref('base_postgres__campaigns')) }}
)

{{ quarantined('campaigns', 'campaign_id') }}
