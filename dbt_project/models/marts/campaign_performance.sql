with

campaigns as (
    select * from {{ ref('dim_campaigns') }}
),

measured as (
    select * from {{ ref('int_campaigns__measured') }}
),

settings as (
    select {{ normal_quantile('(1 + ' ~ var('rate_confidence_level') ~ ') / 2') }} as z
),

rated as (
    select
        campaigns.*,
        measured.impressions,
        measured.clicks,
        measured.conversions,
        measured.spend,
        measured.revenue,
        measured.sessions,
        measured.converting_sessions,
        measured.orders_last_touch,
        measured.revenue_first_touch,
        measured.revenue_last_touch,
        measured.revenue_linear,
        measured.revenue_position_based,
        measured.revenue_time_decay,
        settings.z,
        measured.revenue_{{ var('attribution_model') }} as attributed_revenue,
        {{ supported_ratio(
            'measured.clicks', 'measured.impressions', 'measured.impressions',
            var('min_impressions')
        ) }} as ctr,
        {{ supported_ratio(
            'measured.conversions', 'measured.clicks', 'measured.clicks', var('min_clicks')
        ) }} as conversion_rate,
        {{ supported_ratio(
            'measured.revenue', 'measured.spend', 'measured.conversions', var('min_conversions')
        ) }} as roas,
        100 * measured.spend / nullif(campaigns.budget, 0) as budget_utilization,
        100.0 * campaigns.days_run / nullif(campaigns.planned_days, 0) as time_elapsed
    from campaigns
    inner join measured on campaigns.campaign_id = measured.campaign_id
    cross join settings
),

scored as (
    select
        *,
        {{ efficiency_score() }} as efficiency_score,
        budget_utilization / nullif(time_elapsed, 0) as pacing_ratio
    from rated
),

final as (
    select
        campaign_id,
        campaign_name,
        campaign_type,
        channel,
        phase,
        impressions as total_impressions,
        clicks as total_clicks,
        conversions as total_conversions,
        revenue::numeric(18, 2) as total_revenue,
        spend::numeric(18, 2) as total_spend,
        budget as total_budget,
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
        roas as overall_roas,
        case
            when efficiency_score >= {{ var('performance_high_from') }} then 'High'
            when efficiency_score >= {{ var('performance_medium_from') }} then 'Medium'
            when efficiency_score is not null then 'Low'
        end as performance_segment,
        efficiency_score,
        round(budget_utilization, 2)::numeric(18, 2) as budget_utilization_percent,
        round(time_elapsed, 2)::numeric(18, 2) as time_elapsed_percent,
        round(pacing_ratio, 4)::numeric(18, 4) as pacing_ratio,
        case
            when pacing_ratio > 1 + {{ var('pacing_tolerance') }} then 'over'
            when pacing_ratio < 1 - {{ var('pacing_tolerance') }} then 'under'
            when pacing_ratio is not null then 'on pace'
        end as pacing_status,
        round(100 * spend / nullif(time_elapsed, 0), 2)::numeric(18, 2) as projected_spend,
        sessions,
        converting_sessions,
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
        row_number() over (order by revenue desc, campaign_id collate "C") as revenue_rank,
        case
            when conversion_rate is not null then row_number() over (
                order by conversion_rate desc nulls last, campaign_id collate "C"
            )
        end as conversion_rank,
        case
            when roas is not null
                then row_number() over (order by roas desc nulls last, campaign_id collate "C")
        end as roas_rank,
        {{ as_of() }} as as_of
    from scored
)

select * from final
