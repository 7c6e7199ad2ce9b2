with

platform as (
    select * from {{ ref('int_campaign_performance__daily') }}
),

sessions as (
    select * from {{ ref('int_sessions__by_campaign_day') }}
),

attributed as (
    select * from {{ ref('int_attribution__by_campaign_day') }}
),

days as (
    select
        campaign_id,
        performance_date as date_day
    from platform
    union
    select
        campaign_id,
        session_date as date_day
    from sessions
    union
    select
        campaign_id,
        order_day as date_day
    from attributed
),

final as (
    select
        days.campaign_id,
        days.date_day,
        platform.campaign_id is not null as is_reported,
        coalesce(platform.impressions, 0) as impressions,
        coalesce(platform.clicks, 0) as clicks,
        coalesce(platform.conversions, 0) as conversions,
        coalesce(platform.spend, 0)::numeric(18, 2) as spend,
        coalesce(platform.revenue, 0)::numeric(18, 2) as platform_revenue,
        (platform.clicks::numeric / nullif(platform.impressions, 0))::numeric(18, 10) as ctr,
        (platform.conversions::numeric / nullif(platform.clicks, 0))::numeric(18, 10)
            as conversion_rate,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(sessions.bounces, 0) as bounces,
        coalesce(sessions.converting_sessions, 0) as converting_sessions,
        coalesce(attributed.orders_last_touch, 0) as orders_last_touch,
        coalesce(attributed.revenue_first_touch, 0)::numeric(18, 2) as revenue_first_touch,
        coalesce(attributed.revenue_last_touch, 0)::numeric(18, 2) as revenue_last_touch,
        coalesce(attributed.revenue_linear, 0)::numeric(18, 2) as revenue_linear,
        coalesce(attributed.revenue_position_based, 0)::numeric(18, 2) as revenue_position_based,
        coalesce(attributed.revenue_time_decay, 0)::numeric(18, 2) as revenue_time_decay
    from days
    left join platform
        on
            days.campaign_id = platform.campaign_id
            and days.date_day = platform.performance_date
    left join sessions
        on
            days.campaign_id = sessions.campaign_id
            and days.date_day = sessions.session_date
    left join attributed
        on
            days.campaign_id = attributed.campaign_id
            and days.date_day = attributed.order_day
)

select * from final
