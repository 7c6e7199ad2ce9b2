with

source as (
    select * from {{ source('mongo', 'page_views') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        _id as source_document_id,
        nullif(trim(view_id), '') as view_id,
        nullif(trim(session_id), '') as session_id,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(page_url), '') as page_url,
        nullif(trim(page_title), '') as page_title,
        lower(nullif(trim(page_type), '')) as page_type,
        sequence as page_sequence,
        time_on_page,
        scroll_depth,
        nullif(trim(referrer_url), '') as referrer_url,
        timestamp as viewed_at,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by view_id
            order by created_at desc nulls last, source_document_id collate "C" desc
        ) as duplicate_rank
    from renamed
)

select
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
from ranked
where duplicate_rank = 1 or view_id is null
