with

source as (
    select * from {{ source('mongo', 'events') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        _id as source_document_id,
        nullif(trim(event_id), '') as event_id,
        nullif(trim(session_id), '') as session_id,
        nullif(trim(customer_id), '') as customer_id,
        lower(nullif(trim(event_type), '')) as event_type,
        event_data,
        timestamp as occurred_at,
        nullif(trim(page_url), '') as page_url,
        nullif(trim(user_agent), '') as user_agent,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by event_id
            order by created_at desc nulls last, source_document_id collate "C" desc
        ) as duplicate_rank
    from renamed
)

select
    event_id,
    session_id,
    customer_id,
    event_type,
    event_data,
    occurred_at,
    page_url,
    user_agent,
    created_at
from ranked
where duplicate_rank = 1 or event_id is null
