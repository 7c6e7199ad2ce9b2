with

source as (
    select * from {{ source('postgres', 'ab_test_results') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(result_id), '') as result_id,
        nullif(trim(test_id), '') as test_id,
        upper(nullif(trim(variant), '')) as variant,
        impressions,
        clicks,
        conversions,
        revenue,
        ctr,
        conversion_rate,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by result_id
            order by created_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
)

select
    result_id,
    test_id,
    variant,
    impressions,
    clicks,
    conversions,
    revenue,
    ctr,
    conversion_rate,
    created_at
from ranked
where duplicate_rank = 1 or result_id is null
