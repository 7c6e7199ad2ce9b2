with

clean as (
    {{ clean_rows('campaign_performance', ref('base_postgres__campaign_performance')) }}
)

select
    performance_id,
    campaign_id,
    performance_date,
    impressions,
    clicks,
    conversions,
    spend,
    revenue,
    ctr,
    conversion_rate,
    created_at
from clean
