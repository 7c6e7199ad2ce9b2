{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'page_views'},
    pre_hook="{{ forget_touched_sessions('viewed_at') }}",
    post_hook="{{ note_built() }}"
) }}

with

page_views as (
    select * from {{ ref('stg_mongo__page_views') }}
    where
        viewed_at < {{ as_of_start() }}
        {{ in_touched_sessions() }}
),

aggregated as (
    select
        session_id,
        count(*) as page_views,
        count(*) filter (where page_type = 'product') as product_page_views,
        count(*) filter (where page_type = 'category') as category_page_views,
        count(*) filter (where page_type = 'search') as search_page_views,
        count(*) filter (where page_type = 'cart') as cart_page_views,
        count(*) filter (where page_type = 'checkout') as checkout_page_views,
        count(*) filter (where page_type = 'account') as account_page_views,
        coalesce(sum(time_on_page), 0) as seconds_on_pages,
        coalesce(sum(scroll_depth), 0) as scroll_depth_sum,
        count(scroll_depth) as scroll_depth_count,
        min(viewed_at) as first_viewed_at,
        max(viewed_at) as last_viewed_at
    from page_views
    where session_id is not null
    group by session_id
)

select * from aggregated
