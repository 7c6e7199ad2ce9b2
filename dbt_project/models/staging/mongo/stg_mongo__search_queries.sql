with

clean as (
    {{ clean_rows('search_queries', ref('base_mongo__search_queries')) }}
)

select
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
