with

versions as (
    select * from {{ ref('base_mysql__customers') }}
)

select
    source_key as source_row_id,
    valid_from,
    valid_to,
    {{ violates('customers') }} is not true as is_sound,
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
from versions
