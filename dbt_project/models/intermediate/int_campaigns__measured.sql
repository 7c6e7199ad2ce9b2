with

campaigns as (
    select campaign_id from {{ ref('stg_postgres__campaigns') }}
),

platform as (
    select
        campaign_id,
        sum(impressions)::bigint as impressions,
        sum(clicks)::bigint as clicks,
        sum(conversions)::bigint as conversions,
        sum(spend) as spend,
        sum(revenue) as revenue
    from {{ ref('int_campaign_performance__daily') }}
    group by campaign_id
),

sessions as (
    select
        campaign_id,
        sum(sessions)::bigint as sessions,
        sum(converting_sessions)::bigint as converting_sessions
    from {{ ref('int_sessions__by_campaign_day') }}
    group by campaign_id
),

attributed as (
    select
        campaign_id,
        sum(orders_last_touch)::bigint as orders_last_touch,
        sum(revenue_first_touch) as revenue_first_touch,
        sum(revenue_last_touch) as revenue_last_touch,
        sum(revenue_linear) as revenue_linear,
        sum(revenue_position_based) as revenue_position_based,
        sum(revenue_time_decay) as revenue_time_decay
    from {{ ref('int_attribution__by_campaign_day') }}
    group by campaign_id
),

measured as (
    select
        campaigns.campaign_id,
        coalesce(platform.impressions, 0) as impressions,
        coalesce(platform.clicks, 0) as clicks,
        coalesce(platform.conversions, 0) as conversions,
        coalesce(platform.spend, 0) as spend,
        coalesce(platform.revenue, 0) as revenue,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(sessions.converting_sessions, 0) as converting_sessions,
        coalesce(attributed.orders_last_touch, 0) as orders_last_touch,
        coalesce(attributed.revenue_first_touch, 0) as revenue_first_touch,
        coalesce(attributed.revenue_last_touch, 0) as revenue_last_touch,
        coalesce(attributed.revenue_linear, 0) as revenue_linear,
        coalesce(attributed.revenue_position_based, 0) as revenue_position_based,
        coalesce(attributed.revenue_time_decay, 0) as revenue_time_decay
    from campaigns
    left join platform on campaigns.campaign_id = platform.campaign_id
    left join sessions on campaigns.campaign_id = sessions.campaign_id
    left join attributed on campaigns.campaign_id = attributed.campaign_id
    where campaigns.campaign_id is not null
)

select * from measured
