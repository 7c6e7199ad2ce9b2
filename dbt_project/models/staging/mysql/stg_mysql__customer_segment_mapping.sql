with

source as (
    select * from {{ source('mysql', 'customer_segment_mapping') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as assignment_key,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(segment_id), '') as segment_id,
        assigned_date,
        score,
        confidence,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id, segment_id, assigned_date, created_at
            order by assignment_key
        ) as duplicate_rank
    from renamed
)

select
    assignment_key,
    customer_id,
    segment_id,
    assigned_date,
    score,
    confidence,
    created_at
from ranked
where duplicate_rank = 1 or customer_id is null
