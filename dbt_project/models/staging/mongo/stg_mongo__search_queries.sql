{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'search_queries'},
    pre_hook="{{ forget_touched() }}",
    post_hook="{{ note_built() }}"
) }}

with

clean as (
    {{ clean_rows('search_queries', ref('base_mongo__search_queries')) }}
)

select
    source_key,
    query_id,
    session_id,
    customer_id,
    search_term,
    results_count,
    clicked_result,
    filters,
    searched_at,
    created_at
from clean
