with

sessions as (
    select * from {{ ref('stg_mongo__sessions') }}
    where session_start < {{ as_of_start() }}
),

identities as (
    select * from {{ ref('int_sessions__identified') }}
),

page_views as (
    select * from {{ ref('int_page_views__by_session') }}
),

events as (
    select * from {{ ref('int_events__by_session') }}
),

interactions as (
    select * from {{ ref('int_interactions__by_session') }}
),

searches as (
    select * from {{ ref('int_searches__by_session') }}
),

first_purchases as (
    select * from {{ ref('int_purchases__tracked') }}
    where purchase_number = 1
),

campaigns as (
    select * from {{ ref('stg_postgres__campaigns') }}
),

-- What ends at as_of or later is not known to end.
joined as (
    select
        sessions.session_id,
        identities.visitor_id,
        identities.customer_id,
        identities.is_identified_by_stitching,
        sessions.anonymous_id,
        sessions.session_start,
        sessions.device_type,
        sessions.browser,
        sessions.os,
        sessions.country,
        sessions.referrer,
        sessions.utm_source,
        sessions.utm_medium,
        sessions.utm_campaign,
        campaigns.campaign_id,
        campaigns.channel as campaign_channel,
        sessions.landing_page,
        first_purchases.order_id,
        events.first_checkout_at,
        events.first_purchase_at,
        interactions.first_product_view_at,
        interactions.first_cart_add_at,
        (sessions.session_start at time zone 'UTC')::date as session_date,
        case
            when sessions.session_end < {{ as_of_start() }} then sessions.session_end
        end as session_end,
        case
            when coalesce(sessions.session_end < {{ as_of_start() }}, true)
                then coalesce(
                    sessions.duration_seconds,
                    extract(epoch from sessions.session_end - sessions.session_start)
                )::bigint
        end as duration_seconds,
        coalesce(events.has_bot_agent, false) as has_bot_agent,
        extract(epoch from page_views.last_viewed_at - page_views.first_viewed_at)::bigint
            as viewing_seconds,
        coalesce(page_views.page_views, 0) as page_views,
        coalesce(page_views.product_page_views, 0) as product_page_views,
        coalesce(page_views.category_page_views, 0) as category_page_views,
        coalesce(page_views.search_page_views, 0) as search_page_views,
        coalesce(page_views.cart_page_views, 0) as cart_page_views,
        coalesce(page_views.checkout_page_views, 0) as checkout_page_views,
        coalesce(page_views.account_page_views, 0) as account_page_views,
        coalesce(events.events, 0) as events,
        coalesce(events.cart_add_events, 0) as cart_add_events,
        coalesce(events.checkout_starts, 0) as checkout_starts,
        coalesce(events.purchases, 0) as purchases,
        coalesce(searches.searches, 0) as searches,
        coalesce(searches.searches_with_click, 0) as searches_with_click,
        coalesce(interactions.interactions, 0) as interactions,
        coalesce(interactions.product_views, 0) as product_views,
        coalesce(interactions.cart_adds, 0) as cart_adds,
        coalesce(interactions.cart_removals, 0) as cart_removals,
        coalesce(interactions.wishlist_adds, 0) as wishlist_adds
    from sessions
    inner join identities on sessions.session_id = identities.session_id
    left join page_views on sessions.session_id = page_views.session_id
    left join events on sessions.session_id = events.session_id
    left join interactions on sessions.session_id = interactions.session_id
    left join searches on sessions.session_id = searches.session_id
    left join first_purchases on sessions.session_id = first_purchases.session_id
    left join campaigns on sessions.utm_campaign = campaigns.campaign_id
),

enriched as (
    select
        *,
        coalesce(
            has_bot_agent or (
                page_views >= {{ var('bot_min_page_views') }}
                and coalesce(duration_seconds, viewing_seconds)
                < {{ var('bot_max_seconds_per_page') }} * page_views
            ), false
        ) as is_bot,
        page_views = 1 as is_bounce,
        case
            when campaign_channel is not null then campaign_channel
            when {{ utm_channel() }} is not null then {{ utm_channel() }}
            when coalesce(utm_source, utm_campaign) is not null then 'Other'
            when referrer ~* '{{ var("search_engine_pattern") }}' then 'Organic Search'
            when referrer is null or referrer ~* '{{ var("own_site_pattern") }}' then 'Direct'
            else 'Referral'
        end as channel
    from joined
)

select * from enriched
