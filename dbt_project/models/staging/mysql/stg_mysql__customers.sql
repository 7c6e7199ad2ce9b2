with

clean as (
    {{ clean_rows('customers', ref('base_mysql__customers')) }}
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
from clean
