with

clean as (
    {{ clean_rows('campaigns', ref('base_postgres__campaigns')) }}
)

select
    campaign_id,
    campaign_name,
    campaign_type,
    channel,
    target_audience,
    start_date,
    end_date,
    budget,
    status,
    created_at,
    updated_at
from clean
