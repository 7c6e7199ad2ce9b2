with

source as (
    select * from {{ source('mysql', 'customer_demographics') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(age_group), '') as age_group,
        nullif(trim(income_level), '') as income_level,
        nullif(trim(education_level), '') as education_level,
        nullif(trim(occupation), '') as occupation,
        household_size,
        interests,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
)

select
    customer_id,
    age_group,
    income_level,
    education_level,
    occupation,
    household_size,
    interests,
    updated_at
from ranked
where duplicate_rank = 1 or customer_id is null
