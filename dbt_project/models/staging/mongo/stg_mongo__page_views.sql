{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'page_views'},
    pre_hook="{{ forget_touched() }}",
    post_hook="{{ note_built() }}"
) }}

with

clean as (
    {{ clean_rows('page_views', ref('base_mongo__page_views')) }}
)

select
    source_key,
    view_id,
    session_id,
    customer_id,
    page_url,
    page_title,
    page_type,
    page_sequence,
    time_on_page,
    scroll_depth,
    referrer_url,
    viewed_at,
    created_at
from clean
