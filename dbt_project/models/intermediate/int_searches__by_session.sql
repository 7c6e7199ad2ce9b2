with

searches as (
    select * from {{ ref('stg_mongo__search_queries') }}
    where searched_at < {{ as_of_start() }}
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
