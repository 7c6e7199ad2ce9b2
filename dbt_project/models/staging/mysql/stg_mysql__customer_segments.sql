with

source as (
    select * from {{ source('mysql', 'customer_segments') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(segment_id), '') as segment_id,
        nullif(trim(segment_name), '') as segment_name,
        nullif(trim(description), '') as description,
        criteria,
        target_value,
        created_at,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by segment_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
)

select
    segment_id,
    segment_name,
    description,
    criteria,
    target_value,
    created_at,
    updated_at
from ranked
where duplicate_rank = 1 or segment_id is null
