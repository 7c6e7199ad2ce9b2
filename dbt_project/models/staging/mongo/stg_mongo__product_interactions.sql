with

source as (
    select * from {{ source('mongo', 'product_interactions') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        _id as source_document_id,
        nullif(trim(interaction_id), '') as interaction_id,
        nullif(trim(session_id), '') as session_id,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(product_id), '') as product_id,
        lower(nullif(trim(interaction_type), '')) as interaction_type,
        nullif(trim(product_name), '') as product_name,
        nullif(trim(category), '') as category,
        timestamp as occurred_at,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by interaction_id
            order by created_at desc nulls last, source_document_id collate "C" desc
        ) as duplicate_rank
    from renamed
)

select
    interaction_id,
    session_id,
    customer_id,
    product_id,
    interaction_type,
    product_name,
    category,
    occurred_at,
    created_at
from ranked
where duplicate_rank = 1 or interaction_id is null
