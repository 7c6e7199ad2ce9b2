-- Returns channels whose platform figures in channel_performance are not those of their campaigns.
with

campaigns as (
    select
        coalesce(channel, 'Unknown') as channel,
        count(*) as campaigns,
        sum(total_spend) as spend,
        sum(total_revenue) as revenue,
        sum(total_conversions) as conversions
    from {{ ref('campaign_performance') }}
    group by coalesce(channel, 'Unknown')
)

select
    channel,
    campaigns.revenue as campaign_revenue,
    channels.total_revenue
from campaigns
full outer join {{ ref('channel_performance') }} as channels using (channel)
where
    (
        campaigns.campaigns = channels.campaigns
        and campaigns.spend = channels.total_spend
        and campaigns.revenue = channels.total_revenue
        and campaigns.conversions = channels.total_conversions
    ) is not true
