with

source as (
    select * from {{ ref('stg_mysql__customer_versions') }}
    where valid_to is null
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from source
)

select
    customer_id,
    email,
    first_name,
    last_name,
    phone,
    date_of_birth,
    gender,
    address,
    city,
    state,
    country,
    postal_code,
    registration_date,
    is_active,
    created_at,
    updated_at
from ranked
where duplicate_rank = 1 or customer_id is null
