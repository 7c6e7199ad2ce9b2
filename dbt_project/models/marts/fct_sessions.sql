with

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
),

final as (
    select
        session_id,
        visitor_id,
        customer_id,
        is_identified_by_stitching,
        anonymous_id,
        is_bot,
        session_date,
        session_start,
        session_end,
        duration_seconds,
        device_type,
        browser,
        os,
        country,
        channel,
        campaign_id,
        referrer,
        utm_source,
        utm_medium,
        utm_campaign,
        landing_page,
        page_views,
        product_page_views,
        category_page_views,
        search_page_views,
        cart_page_views,
        checkout_page_views,
        account_page_views,
        events,
        cart_add_events,
        checkout_starts,
        purchases,
        searches,
        interactions,
        product_views,
        cart_adds,
        cart_removals,
        wishlist_adds,
        is_bounce,
        order_id
    from sessions
)

select * from final
