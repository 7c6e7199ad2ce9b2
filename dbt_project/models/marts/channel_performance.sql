with

campaigns as (
    select * from {{ ref('campaign_performance') }}
),

attributed as (
    select * from {{ ref('int_attribution__by_channel') }}
),

settings as (
    select {{ normal_quantile('(1 + ' ~ var('rate_confidence_level') ~ ') / 2') }} as z
),

summed as (
    select
        coalesce(channel, 'Unknown') as channel,
        count(*) as campaigns,
        count(*) filter (where phase = 'running') as running_campaigns,
        coalesce(sum(total_budget), 0) as budget,
        sum(total_spend) filter (where total_budget is not null) as budgeted_spend,
        sum(total_impressions)::bigint as impressions,
        sum(total_clicks)::bigint as clicks,
        sum(total_conversions)::bigint as conversions,
        sum(total_revenue) as revenue,
        sum(total_spend) as spend,
        sum(sessions)::bigint as sessions
    from campaigns
    group by coalesce(channel, 'Unknown')
),

rated as (
    select
        summed.*,
        settings.z,
        coalesce(attributed.orders_last_touch, 0) as orders_last_touch,
        coalesce(attributed.revenue_first_touch, 0) as revenue_first_touch,
        coalesce(attributed.revenue_last_touch, 0) as revenue_last_touch,
        coalesce(attributed.revenue_linear, 0) as revenue_linear,
        coalesce(attributed.revenue_position_based, 0) as revenue_position_based,
        coalesce(attributed.revenue_time_decay, 0) as revenue_time_decay,
        coalesce(attributed.revenue_{{ var('attribution_model') }}, 0) as attributed_revenue,
        {{ supported_ratio(
            'summed.clicks', 'summed.impressions', 'summed.impressions', var('min_impressions')
        ) }} as ctr,
        {{ supported_ratio(
            'summed.conversions', 'summed.clicks', 'summed.clicks', var('min_clicks')
        ) }} as conversion_rate,
        {{ supported_ratio(
            'summed.revenue', 'summed.spend', 'summed.conversions', var('min_conversions')
        ) }} as roas
    from summed
    left join attributed on summed.channel = attributed.channel
    cross join settings
),

final as (
    select
        channel,
        campaigns,
        running_campaigns,
        budget::numeric(18, 2) as total_budget,
        impressions as total_impressions,
        clicks as total_clicks,
        conversions as total_conversions,
        revenue::numeric(18, 2) as total_revenue,
        spend::numeric(18, 2) as total_spend,
        roas as avg_roas,
        ctr as overall_ctr,
        case
            when ctr is not null then {{ wilson_bound('clicks', 'impressions', 'z', '-') }}
        end::numeric(18, 10) as ctr_low,
        case
            when ctr is not null then {{ wilson_bound('clicks', 'impressions', 'z', '+') }}
        end::numeric(18, 10) as ctr_high,
        conversion_rate as overall_conversion_rate,
        case
            when conversion_rate is not null
                then {{ wilson_bound('conversions', 'clicks', 'z', '-') }}
        end::numeric(18, 10) as conversion_rate_low,
        case
            when conversion_rate is not null
                then {{ wilson_bound('conversions', 'clicks', 'z', '+') }}
        end::numeric(18, 10) as conversion_rate_high,
        {{ efficiency_score() }} as efficiency_score,
        round(100 * budgeted_spend / nullif(budget, 0), 2)::numeric(18, 2)
            as budget_utilization_percent,
        sessions,
        orders_last_touch,
        revenue_first_touch::numeric(18, 2) as revenue_first_touch,
        revenue_last_touch::numeric(18, 2) as revenue_last_touch,
        revenue_linear::numeric(18, 2) as revenue_linear,
        revenue_position_based::numeric(18, 2) as revenue_position_based,
        revenue_time_decay::numeric(18, 2) as revenue_time_decay,
        attributed_revenue::numeric(18, 2) as attributed_revenue,
        {{ supported_ratio(
            'attributed_revenue', 'spend', 'orders_last_touch', var('min_conversions')
        ) }} as attributed_roas,
        row_number() over (order by revenue desc, channel collate "C") as revenue_rank,
        case
            when roas is not null
                then row_number() over (order by roas desc nulls last, channel collate "C")
        end as roas_rank,
        {{ as_of() }} as as_of
    from rated
)

select * from final
