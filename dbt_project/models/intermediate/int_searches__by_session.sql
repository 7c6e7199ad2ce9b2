{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'search_queries'},
    pre_hook="{{ forget_touched_sessions('searched_at') }}",
    post_hook="{{ note_built() }}"
) }}

with

searches as (
    select * from {{ ref('stg_mongo__search_queries') }}
    where
        searched_at < {{ as_of_start() }}
        {{ in_touched_sessions() }}
),

aggregated as (
    select
        session_id,
        count(*) as searches,
        count(clicked_result) as searches_with_click,
        count(*) filter (where results_count = 0) as searches_without_result
    from searches
    where session_id is not null
    group by session_id
)

select * from aggregated
