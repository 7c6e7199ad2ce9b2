with

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
    where customer_id is not null and not is_bot
),

scored as (
    select
        *,
        session_start - lag(session_start) over (
            partition by customer_id
            order by session_start, session_id collate "C"
        ) as time_since_last,
        case when campaign_id is not null then channel end as tagged_channel,
        {{ saturating_score(var('session_engagement')) }} as engagement
    from sessions
),

aggregated as (
    select
        customer_id,
        count(*) as sessions,
        sum(page_views)::bigint as page_views,
        sum(product_page_views)::bigint as product_page_views,
        sum(events)::bigint as events,
        sum(interactions)::bigint as interactions,
        sum(product_views)::bigint as product_views,
        sum(cart_adds)::bigint as cart_adds,
        sum(cart_removals)::bigint as cart_removals,
        sum(wishlist_adds)::bigint as wishlist_adds,
        sum(searches)::bigint as searches,
        sum(searches_with_click)::bigint as searches_with_click,
        sum(cart_add_events)::bigint as cart_add_events,
        sum(checkout_starts)::bigint as checkout_starts,
        sum(purchases)::bigint as purchases,
        sum(duration_seconds)::bigint as duration_seconds,
        count(duration_seconds) as timed_sessions,
        count(*) filter (where is_bounce) as bounces,
        count(*) filter (where cart_adds > 0) as cart_sessions,
        count(*) filter (where cart_adds > 0 and purchases = 0) as abandoned_cart_sessions,
        count(*) filter (where purchases > 0) as converting_sessions,
        count(*) filter (where is_identified_by_stitching) as stitched_sessions,
        count(*) filter (where device_type = 'mobile') as mobile_sessions,
        count(*) filter (where extract(isodow from session_date) >= 6) as weekend_sessions,
        count(*) filter (where campaign_id is not null) as campaign_sessions,
        count(*) filter (
            where campaign_id is not null and purchases > 0
        ) as converting_campaign_sessions,
        count(*) filter (
            where time_since_last <= interval '{{ var("return_visit_days") }} days'
        ) as return_sessions,
        {% for days in [30, 90] %}
            count(*) filter (
                where session_date >= {{ as_of() }} - {{ days }}
            ) as sessions_last_{{ days }}_days,
        {% endfor %}
        count(distinct session_date) as active_days,
        count(distinct device_type) as devices,
        count(distinct channel) as channels,
        count(distinct concat(device_type, '|', channel)) as touchpoints,
        min(session_date) as first_session_date,
        max(session_date) as last_session_date,
        mode() within group (order by device_type collate "C") as device_preference,
        mode() within group (order by browser collate "C") as browser_preference,
        mode() within group (order by tagged_channel collate "C") as preferred_channel,
        sum(engagement) as engagement_sum,
        coalesce(sum(engagement) filter (where campaign_id is not null), 0)
            as campaign_engagement_sum
    from scored
    group by customer_id
)

select * from aggregated
