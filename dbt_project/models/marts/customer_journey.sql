{% set rules = var('journey_rules') %}

with

customers as (
    select * from {{ ref('dim_customers') }}
    where is_current
),

sessions as (
    select * from {{ ref('int_sessions__by_customer') }}
),

products as (
    select * from {{ ref('int_products__by_customer') }}
),

-- Of all customers' sessions, the share in which something was bought.
base_rate as (
    select coalesce(sum(converting_sessions) / nullif(sum(sessions), 0), 0) as conversion_rate
    from sessions
),

counted as (
    select
        customers.customer_id,
        customers.email,
        customers.first_name,
        customers.last_name,
        sessions.duration_seconds,
        sessions.timed_sessions,
        sessions.device_preference,
        sessions.browser_preference,
        sessions.first_session_date,
        sessions.last_session_date,
        {% for column in [
            'sessions', 'page_views', 'events', 'interactions', 'product_views', 'cart_adds',
            'searches', 'bounces', 'cart_sessions', 'abandoned_cart_sessions',
            'converting_sessions', 'touchpoints', 'engagement_sum',
        ] %}
            coalesce(sessions.{{ column }}, 0) as {{ column }},
        {% endfor %}
        coalesce(products.products_viewed, 0) as products_viewed,
        -- 1 on the day before as_of, 0 when the last visit is too long ago
        greatest(
            1 - ({{ as_of() }} - sessions.last_session_date - 1)::numeric
            / {{ var('engagement_fades_in_days') }}, 0
        ) as freshness
    from customers
    left join sessions on customers.customer_id = sessions.customer_id
    left join products on customers.customer_id = products.customer_id
),

rated as (
    select
        *,
        round({{ saturating_score(var('customer_engagement')) }}, 2) as engagement_score,
        {{ share('bounces', 'sessions') }} as bounce_share,
        converting_sessions::numeric / nullif(sessions, 0) as conversion_share,
        abandoned_cart_sessions::numeric / nullif(sessions, 0) as abandoned_share
    from counted
),

judged as (
    select
        *,
        case
            when conversion_share >= {{ rules.converter_min_share }} then 'Converter'
            when abandoned_share >= {{ rules.abandoner_min_share }} then 'Abandoner'
            when products_viewed >= {{ rules.explorer_min_products }} then 'Explorer'
            else 'Browser'
        end as journey_type,
        case
            when converting_sessions > 0 then 'Converted'
            when cart_sessions > 0 then 'Abandoned'
            else 'Browsing'
        end as conversion_status,
        case
            when sessions >= {{ rules.complex_min_sessions }} then 'Complex'
            when touchpoints >= {{ rules.complex_min_touchpoints }} then 'Complex'
            when sessions >= {{ rules.medium_min_sessions }} then 'Medium'
            when touchpoints >= {{ rules.medium_min_touchpoints }} then 'Medium'
            else 'Simple'
        end as journey_complexity
    from rated
),

final as (
    select
        judged.customer_id,
        judged.email,
        judged.first_name,
        judged.last_name,
        judged.sessions as total_sessions,
        judged.page_views as total_page_views,
        judged.events as total_events,
        round(
            judged.duration_seconds::numeric / nullif(judged.timed_sessions, 0), 2
        )::numeric(18, 2) as avg_session_duration,
        case when judged.sessions > 0 then judged.bounce_share end::numeric(7, 6) as bounce_rate,
        judged.product_views as total_product_views,
        judged.cart_adds as total_cart_adds,
        judged.searches as total_search_queries,
        judged.interactions as total_interactions,
        judged.journey_type,
        judged.conversion_status,
        judged.journey_complexity,
        judged.engagement_score::numeric(5, 2) as engagement_score,
        round(
            (
                judged.converting_sessions
                + {{ var('conversion_prior_sessions') }} * base_rate.conversion_rate
            ) / (judged.sessions + {{ var('conversion_prior_sessions') }}), 6
        )::numeric(7, 6) as conversion_probability,
        judged.sessions as conversion_probability_support,
        judged.device_preference,
        judged.browser_preference,
        judged.products_viewed as unique_products_viewed,
        judged.converting_sessions,
        judged.cart_sessions,
        judged.abandoned_cart_sessions,
        judged.touchpoints,
        judged.first_session_date,
        judged.last_session_date,
        {{ as_of() }} as as_of
    from judged
    cross join base_rate
)

select * from final
