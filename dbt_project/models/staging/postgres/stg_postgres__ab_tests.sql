with

source as (
    select * from {{ source('postgres', 'ab_tests') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(test_id), '') as test_id,
        nullif(trim(test_name), '') as test_name,
        nullif(trim(campaign_id), '') as campaign_id,
        nullif(trim(variant_a_description), '') as variant_a_description,
        nullif(trim(variant_b_description), '') as variant_b_description,
        start_date,
        end_date,
        sample_size,
        lower(nullif(trim(test_status), '')) as test_status,
        created_at,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by test_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
)

select
    test_id,
    test_name,
    campaign_id,
    variant_a_description,
    variant_b_description,
    start_date,
    end_date,
    sample_size,
    test_status,
    created_at,
    updated_at
from ranked
where duplicate_rank = 1 or test_id is null
