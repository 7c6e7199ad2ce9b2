{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    full_refresh=false,
    meta={'keeps_nights': true},
    pre_hook="{{ forget_night() }}"
) }}

{% set tiers = var('value_tiers') %}
{% set levels = var('engagement_levels') %}

with

customers as (
    select * from {{ ref('dim_customers') }}
    where is_current
),

demographics as (
    select * from {{ ref('stg_mysql__customer_demographics') }}
),

assigned as (
    select * from {{ ref('int_segments__assigned') }}
),

rfm as (
    select * from {{ ref('customer_rfm') }}
),

orders as (
    select * from {{ ref('int_orders__by_customer') }}
),

items as (
    select * from {{ ref('int_order_items__by_customer') }}
),

journeys as (
    select * from {{ ref('customer_journey') }}
),

sessions as (
    select * from {{ ref('int_sessions__by_customer') }}
),

products as (
    select * from {{ ref('int_products__by_customer') }}
),

-- Revenue over spend of all campaigns that reached the customer, as the platforms report them.
campaigns as (
    select
        reached.customer_id,
        count(*) as campaigns,
        sum(performance.total_revenue) as campaign_revenue,
        sum(performance.total_spend) as campaign_spend
    from {{ ref('customer_campaigns') }} as reached
    inner join {{ ref('campaign_performance') }} as performance
        on reached.campaign_id = performance.campaign_id
    group by reached.customer_id
),

experiments as (
    select
        seen.customer_id,
        count(*) as tests,
        count(*) filter (where seen.is_converted) as converted_tests,
        count(*) filter (where seen.variant = 'B') as tests_with_b,
        count(*) filter (where results.winner in ('A', 'B')) as decided_tests,
        count(*) filter (
            where results.winner in ('A', 'B') and results.winner = seen.variant
        ) as won_tests
    from {{ ref('int_experiments__by_customer') }} as seen
    left join {{ ref('ab_test_results') }} as results on seen.test_id = results.test_id
    group by seen.customer_id
),

-- Each of the tables above has at most one row a customer, so that no join repeats one.
counted as (
    select
        customers.customer_id,

        -- who it is
        greatest({{ as_of() }} - customers.registration_date, 0) as days_since_registration,
        case
            when customers.date_of_birth < {{ as_of() }}
                then extract(year from age({{ as_of() }}, customers.date_of_birth))::integer
        end as age_years,
        coalesce(lower(customers.gender), 'unknown') as gender,
        coalesce(customers.country, 'unknown') as country,
        coalesce(customers.is_active, false) as is_active,
        customers.email is not null as has_email,
        customers.phone is not null as has_phone,
        coalesce(demographics.age_group, 'unknown') as age_group,
        coalesce(demographics.income_level, 'unknown') as income_level,
        coalesce(demographics.education_level, 'unknown') as education_level,
        coalesce(demographics.household_size, 0) as household_size,
        case
            when jsonb_typeof(demographics.interests) = 'array'
                then jsonb_array_length(demographics.interests)
            else 0
        end as interests_count,
        coalesce(assigned.segment_name, 'none') as assigned_segment,
        coalesce(assigned.confidence, 0) as assigned_segment_confidence,

        -- what was bought
        rfm.customer_id is not null as has_purchased,
        rfm.recency_days,
        rfm.rfm_score,
        rfm.rfm_segment,
        rfm.avg_order_value,
        {% for column in [
            'frequency', 'monetary_value', 'recency_score', 'frequency_score', 'monetary_score',
            'customer_lifetime_value', 'purchase_frequency_rate',
        ] %}
            coalesce(rfm.{{ column }}, 0) as {{ column }},
        {% endfor %}
        {{ as_of() }} - orders.first_purchase_date as tenure_days,
        orders.last_purchase_date - orders.first_purchase_date as purchase_span_days,
        orders.preferred_payment_method,
        {% for column in [
            'orders', 'cancelled_orders', 'returned_orders', 'orders_last_30_days',
            'orders_last_90_days', 'orders_last_365_days', 'monetary_last_30_days',
            'monetary_last_90_days', 'monetary_last_180_days', 'monetary_last_365_days',
            'min_order_value', 'max_order_value', 'order_value_stddev', 'last_order_value',
            'gap_days_stddev', 'discount_total', 'units', 'weekend_purchases',
        ] %}
            coalesce(orders.{{ column }}, 0) as {{ column }},
        {% endfor %}
        items.favourite_category,
        {% for column in [
            'items', 'products_bought', 'categories_bought', 'favourite_category_items',
            'categorised_items',
        ] %}
            coalesce(items.{{ column }}, 0) as {{ column }},
        {% endfor %}

        -- what was done in the shop
        journeys.total_sessions,
        journeys.total_page_views,
        journeys.total_events,
        journeys.avg_session_duration,
        journeys.bounce_rate,
        journeys.total_product_views,
        journeys.total_cart_adds,
        journeys.total_search_queries,
        journeys.total_interactions,
        journeys.unique_products_viewed,
        journeys.journey_type,
        journeys.conversion_status,
        journeys.journey_complexity,
        journeys.engagement_score,
        journeys.conversion_probability,
        journeys.converting_sessions,
        journeys.cart_sessions,
        journeys.abandoned_cart_sessions,
        coalesce(journeys.device_preference, 'none') as device_preference,
        coalesce(journeys.browser_preference, 'none') as browser_preference,
        {{ as_of() }} - journeys.first_session_date as days_since_first_session,
        {{ as_of() }} - journeys.last_session_date as days_since_last_session,
        {% for column in [
            'purchases', 'cart_add_events', 'checkout_starts', 'cart_removals', 'wishlist_adds',
            'searches_with_click', 'sessions_last_30_days', 'sessions_last_90_days',
            'active_days', 'devices', 'channels', 'mobile_sessions', 'weekend_sessions',
            'stitched_sessions', 'return_sessions', 'campaign_sessions',
            'converting_campaign_sessions', 'engagement_sum', 'campaign_engagement_sum',
        ] %}
            coalesce(sessions.{{ column }}, 0) as {{ column }},
        {% endfor %}
        coalesce(sessions.preferred_channel, 'none') as preferred_channel,
        coalesce(products.categories_viewed, 0) as categories_viewed,
        coalesce(products.products_viewed_again, 0) as products_viewed_again,

        -- what it was shown
        coalesce(campaigns.campaigns, 0) as campaigns,
        coalesce(campaigns.campaign_revenue, 0) as campaign_revenue,
        coalesce(campaigns.campaign_spend, 0) as campaign_spend,
        {% for column in [
            'tests', 'converted_tests', 'tests_with_b', 'decided_tests', 'won_tests',
        ] %}
            coalesce(experiments.{{ column }}, 0) as {{ column }},
        {% endfor %}
        customers.valid_from as known_since
    from customers
    inner join journeys on customers.customer_id = journeys.customer_id
    left join demographics on customers.customer_id = demographics.customer_id
    left join assigned on customers.customer_id = assigned.customer_id
    left join rfm on customers.customer_id = rfm.customer_id
    left join orders on customers.customer_id = orders.customer_id
    left join items on customers.customer_id = items.customer_id
    left join sessions on customers.customer_id = sessions.customer_id
    left join products on customers.customer_id = products.customer_id
    left join campaigns on customers.customer_id = campaigns.customer_id
    left join experiments on customers.customer_id = experiments.customer_id
),

-- The usual days between purchases; one purchase has shown no gap yet, and the days since it
-- are its lower bound.
derived as (
    select
        *,
        coalesce(round(
            case
                when frequency > 1 then purchase_span_days::numeric / (frequency - 1)
                else recency_days
            end, 6
        ), 0) as interpurchase_days,
        monetary_last_180_days - monetary_last_90_days as monetary_of_90_days_before,
        {{ share('recency_score + frequency_score + monetary_score', 15) }} as rfm_composite,
        {{ share(
            'engagement_score - min(engagement_score) over ()',
            'max(engagement_score) over () - min(engagement_score) over ()'
        ) }} as engagement_score_normalized,
        -- of the customers who bought, the share whose orders are worth less on average
        round(
            (percent_rank() over (partition by has_purchased order by avg_order_value))::numeric, 6
        ) as order_value_rank
    from counted
),

paced as (
    select
        *,
        greatest(
            case
                when frequency > 1 then interpurchase_days
                else avg(interpurchase_days) filter (where frequency > 1) over ()
            end, {{ var('churn_min_gap_days') }}
        ) as expected_gap_days
    from derived
),

engineered as (
    select
        *,
        -- 0.5 when the silence is as long as the gap that is to be expected
        case
            when has_purchased
                then {{ share('recency_days', 'recency_days + expected_gap_days') }}
            else 0
        end as churn_risk,
        case
            when has_purchased
                then round(engagement_score_normalized * (1 - order_value_rank), 6)
            else 0
        end as upsell_potential,
        case
            when monetary_score >= {{ tiers.high }} then 'High'
            when monetary_score >= {{ tiers.medium }} then 'Medium'
            when monetary_score > 0 then 'Low'
            else 'None'
        end as customer_value_tier,
        case
            when engagement_score >= {{ levels.high }} then 'High'
            when engagement_score >= {{ levels.medium }} then 'Medium'
            else 'Low'
        end as engagement_level
    from paced
),

final as (
    select
        {{ as_of() }} as as_of,
        customer_id,

        -- recency, frequency, money
        has_purchased,
        coalesce(recency_days, days_since_registration, 0) as recency_days,
        frequency,
        monetary_value::numeric(18, 2) as monetary_value,
        recency_score,
        frequency_score,
        monetary_score,
        coalesce(rfm_score, '000') as rfm_score,
        coalesce(rfm_segment, 'No Purchase') as rfm_segment,
        customer_lifetime_value::numeric(18, 2) as customer_lifetime_value,
        coalesce(avg_order_value, 0)::numeric(18, 2) as avg_order_value,
        purchase_frequency_rate::numeric(18, 6) as purchase_frequency_rate,

        -- purchases in detail
        coalesce(tenure_days, 0) as tenure_days,
        coalesce(purchase_span_days, 0) as active_days,
        interpurchase_days::numeric(18, 6) as interpurchase_days,
        gap_days_stddev::numeric(18, 6) as interpurchase_days_stddev,
        orders_last_30_days,
        orders_last_90_days,
        orders_last_365_days,
        monetary_last_30_days::numeric(18, 2) as monetary_last_30_days,
        monetary_last_90_days::numeric(18, 2) as monetary_last_90_days,
        monetary_last_365_days::numeric(18, 2) as monetary_last_365_days,
        {{ share(
            'monetary_last_90_days - monetary_of_90_days_before',
            'monetary_last_90_days + monetary_of_90_days_before'
        ) }}::numeric(18, 6) as monetary_trend,
        min_order_value::numeric(18, 2) as min_order_value,
        max_order_value::numeric(18, 2) as max_order_value,
        last_order_value::numeric(18, 2) as last_order_value,
        order_value_stddev::numeric(18, 6) as order_value_stddev,
        {{ share('discount_total', 'monetary_value + discount_total') }}::numeric(18, 6)
            as discount_rate,
        {{ share('items', 'frequency') }}::numeric(18, 6) as items_per_order,
        {{ share('units', 'frequency') }}::numeric(18, 6) as units_per_order,
        products_bought as unique_products_bought,
        categories_bought as unique_categories_bought,
        coalesce(favourite_category, 'none') as favourite_category,
        {{ share('favourite_category_items', 'categorised_items') }}::numeric(18, 6)
            as favourite_category_share,
        coalesce(preferred_payment_method, 'none') as preferred_payment_method,
        {{ share('weekend_purchases', 'frequency') }}::numeric(18, 6) as weekend_order_share,
        orders as total_orders,
        cancelled_orders,
        returned_orders,
        {{ share('cancelled_orders', 'orders') }}::numeric(18, 6) as cancellation_rate,
        {{ share('returned_orders', 'frequency + returned_orders') }}::numeric(18, 6)
            as return_rate,

        -- behaviour
        total_sessions,
        total_page_views,
        total_events,
        coalesce(avg_session_duration, 0)::numeric(18, 2) as avg_session_duration,
        coalesce(bounce_rate, 0)::numeric(18, 6) as bounce_rate,
        total_product_views,
        total_cart_adds,
        total_search_queries,
        total_interactions,
        journey_type,
        conversion_status,
        journey_complexity,
        engagement_score,
        conversion_probability,
        device_preference,
        browser_preference,
        purchases as conversion_events,
        converting_sessions,
        cart_add_events as add_to_cart_events,
        checkout_starts as checkout_events,
        cart_removals,
        wishlist_adds,
        unique_products_viewed,
        categories_viewed as unique_categories_viewed,
        {{ share('products_viewed_again', 'unique_products_viewed') }}::numeric(18, 6)
            as product_return_rate,
        {{ share('engagement_sum', 'total_sessions') }}::numeric(18, 6) as avg_engagement_score,
        {{ share('abandoned_cart_sessions', 'cart_sessions') }}::numeric(18, 6)
            as cart_abandonment_rate,
        {{ share('return_sessions', 'total_sessions') }}::numeric(18, 6) as return_visitor_rate,
        {{ share('searches_with_click', 'total_search_queries') }}::numeric(18, 6)
            as search_click_rate,
        sessions_last_30_days,
        sessions_last_90_days,
        coalesce(days_since_first_session, 0) as days_since_first_session,
        coalesce(days_since_last_session, days_since_registration, 0) as days_since_last_session,
        active_days as active_session_days,
        devices as devices_used,
        {{ share('mobile_sessions', 'total_sessions') }}::numeric(18, 6) as mobile_session_share,
        {{ share('weekend_sessions', 'total_sessions') }}::numeric(18, 6) as weekend_session_share,
        {{ share('stitched_sessions', 'total_sessions') }}::numeric(18, 6)
            as anonymous_session_share,

        -- campaigns and experiments
        campaigns as campaign_count,
        campaign_sessions,
        {{ share('campaign_sessions', 'total_sessions') }}::numeric(18, 6)
            as campaign_session_share,
        converting_campaign_sessions as campaign_conversions,
        {{ share('campaign_revenue', 'campaign_spend') }}::numeric(18, 6) as avg_campaign_roas,
        {{ share('campaign_engagement_sum', 'campaign_sessions') }}::numeric(18, 6)
            as campaign_engagement,
        preferred_channel,
        channels as channels_used,
        tests as ab_test_participation,
        {{ share('converted_tests', 'tests') }}::numeric(18, 6) as ab_test_conversion_rate,
        {{ share('won_tests', 'decided_tests') }}::numeric(18, 6) as test_win_rate,
        {{ share('tests_with_b', 'tests') }}::numeric(18, 6) as variant_b_share,

        -- demographics
        coalesce(days_since_registration, 0) as days_since_registration,
        coalesce(age_years, 0) as age_years,
        age_group,
        gender,
        country,
        income_level,
        education_level,
        household_size,
        interests_count,
        is_active,
        has_email,
        has_phone,
        assigned_segment,
        assigned_segment_confidence::numeric(18, 6) as assigned_segment_confidence,

        -- engineered
        round(orders_last_90_days / 3.0, 6)::numeric(18, 6) as purchase_velocity,
        engagement_score_normalized::numeric(18, 6) as engagement_score_normalized,
        {{ share('total_page_views', 'total_sessions') }}::numeric(18, 6) as session_intensity,
        {{ share('converting_sessions', 'total_sessions') }}::numeric(18, 6)
            as conversion_efficiency,
        {{ share('total_search_queries', 'total_sessions') }}::numeric(18, 6) as search_intensity,
        {{ share('unique_products_viewed', 'total_product_views') }}::numeric(18, 6)
            as product_exploration,
        {{ share('total_cart_adds', 'total_product_views') }}::numeric(18, 6) as cart_behavior,
        rfm_composite::numeric(18, 6) as rfm_composite,
        {{ share('monetary_value', '1 + engagement_score') }}::numeric(18, 6)
            as value_engagement_ratio,
        churn_risk::numeric(18, 6) as churn_risk,
        upsell_potential::numeric(18, 6) as upsell_potential,
        round(customer_lifetime_value * (1 - churn_risk), 2)::numeric(18, 2)
            as lifetime_value_potential,
        customer_value_tier,
        engagement_level,
        customer_value_tier = 'High' as is_high_value,
        engagement_level <> 'Low' as is_engaged,
        device_preference = 'mobile' as is_mobile_user,
        active_days > 1 as is_return_visitor
    from engineered
)

select * from final
