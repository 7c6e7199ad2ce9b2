with

sessions as (
    select
        customer_id,
        campaign_id,
        count(*) as sessions,
        count(order_id) as converting_sessions,
        min(session_start) as first_at,
        max(session_start) as last_at
    from {{ ref('int_sessions__enriched') }}
    where customer_id is not null and campaign_id is not null and not is_bot
    group by customer_id, campaign_id
),

-- Who saw a campaign's experiment was reached by the campaign.
exposures as (
    select
        shown_in.customer_id,
        campaigns.campaign_id,
        count(*) as exposures,
        min(shown.exposed_at) as first_at,
        max(shown.exposed_at) as last_at
    from {{ ref('int_experiments__exposures') }} as shown
    inner join {{ ref('stg_postgres__ab_tests') }} as tests on shown.test_id = tests.test_id
    inner join {{ ref('stg_postgres__campaigns') }} as campaigns
        on tests.campaign_id = campaigns.campaign_id
    inner join {{ ref('int_sessions__enriched') }} as shown_in
        on shown.session_id = shown_in.session_id
    where shown_in.customer_id is not null and not shown_in.is_bot
    group by shown_in.customer_id, campaigns.campaign_id
),

attributed as (
    select
        customer_id,
        campaign_id,
        count(*) filter (where is_last_touch) as orders_last_touch,
        sum(revenue_first_touch) as revenue_first_touch,
        sum(revenue_last_touch) as revenue_last_touch,
        sum(revenue_linear) as revenue_linear,
        sum(revenue_position_based) as revenue_position_based,
        sum(revenue_time_decay) as revenue_time_decay
    from {{ ref('int_attribution__credited') }}
    where customer_id is not null and campaign_id is not null
    group by customer_id, campaign_id
),

campaigns as (
    select * from {{ ref('dim_campaigns') }}
),

reached as (
    select
        coalesce(sessions.customer_id, exposures.customer_id) as customer_id,
        coalesce(sessions.campaign_id, exposures.campaign_id) as campaign_id,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(sessions.converting_sessions, 0) as converting_sessions,
        coalesce(exposures.exposures, 0) as exposures,
        least(sessions.first_at, exposures.first_at) as first_reached_at,
        greatest(sessions.last_at, exposures.last_at) as last_reached_at
    from sessions
    full outer join exposures
        on
            sessions.customer_id = exposures.customer_id
            and sessions.campaign_id = exposures.campaign_id
),

final as (
    select
        reached.customer_id,
        reached.campaign_id,
        campaigns.channel,
        reached.sessions,
        reached.converting_sessions,
        reached.exposures,
        reached.first_reached_at,
        reached.last_reached_at,
        coalesce(attributed.orders_last_touch, 0) as orders_last_touch,
        coalesce(attributed.revenue_first_touch, 0)::numeric(18, 2) as revenue_first_touch,
        coalesce(attributed.revenue_last_touch, 0)::numeric(18, 2) as revenue_last_touch,
        coalesce(attributed.revenue_linear, 0)::numeric(18, 2) as revenue_linear,
        coalesce(attributed.revenue_position_based, 0)::numeric(18, 2) as revenue_position_based,
        coalesce(attributed.revenue_time_decay, 0)::numeric(18, 2) as revenue_time_decay,
        coalesce(attributed.revenue_{{ var('attribution_model') }}, 0)::numeric(18, 2)
            as attributed_revenue,
        {{ as_of() }} as as_of
    from reached
    inner join campaigns on reached.campaign_id = campaigns.campaign_id
    left join attributed
        on
            reached.customer_id = attributed.customer_id
            and reached.campaign_id = attributed.campaign_id
)

select * from final
