with

performance as (
    select * from {{ ref('stg_postgres__campaign_performance') }}
    where performance_date < {{ as_of() }}
),

campaigns as (
    select campaign_id from {{ ref('stg_postgres__campaigns') }}
),

daily as (
    select
        performance.campaign_id,
        performance.performance_date,
        coalesce(sum(performance.impressions), 0)::bigint as impressions,
        coalesce(sum(performance.clicks), 0)::bigint as clicks,
        coalesce(sum(performance.conversions), 0)::bigint as conversions,
        coalesce(sum(performance.spend), 0)::numeric(18, 2) as spend,
        coalesce(sum(performance.revenue), 0)::numeric(18, 2) as revenue
    from performance
    inner join campaigns on performance.campaign_id = campaigns.campaign_id
    group by performance.campaign_id, performance.performance_date
)

select * from daily
