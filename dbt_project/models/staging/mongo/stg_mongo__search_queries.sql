with

source as (
    select * from {{ source('mongo', 'search_queries') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        _id as source_document_id,
        nullif(trim(query_id), '') as query_id,
        nullif(trim(session_id), '') as session_id,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(search_term), '') as search_term,
        results_count,
        nullif(trim(clicked_result), '') as clicked_result,
        filters,
        timestamp as searched_at,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by query_id
            order by created_at desc nulls last, source_document_id collate "C" desc
        ) as duplicate_rank
    from renamed
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
from ranked
where duplicate_rank = 1 or query_id is null
