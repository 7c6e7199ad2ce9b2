-- Returns campaigns whose days in fct_campaign_daily are not their totals in campaign_performance.
with

daily as (
    select
        campaign_id,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(conversions) as conversions,
        sum(spend) as spend,
        sum(platform_revenue) as revenue,
        sum(sessions) as sessions,
        sum(revenue_linear) as revenue_linear,
        sum(revenue_time_decay) as revenue_time_decay
    from {{ ref('fct_campaign_daily') }}
    group by campaign_id
)

select campaigns.campaign_id
from {{ ref('campaign_performance') }} as campaigns
left join daily on campaigns.campaign_id = daily.campaign_id
where
    campaigns.total_impressions <> coalesce(daily.impressions, 0)
    or campaigns.total_clicks <> coalesce(daily.clicks, 0)
    or campaigns.total_conversions <> coalesce(daily.conversions, 0)
    or campaigns.total_spend <> coalesce(daily.spend, 0)
    or campaigns.total_revenue <> coalesce(daily.revenue, 0)
    or campaigns.sessions <> coalesce(daily.sessions, 0)
    or campaigns.revenue_linear <> coalesce(daily.revenue_linear, 0)
    or campaigns.revenue_time_decay <> coalesce(daily.revenue_time_decay, 0)
