with

source as (
    select * from {{ source('mysql', 'customers') }}
    where _valid_from <= {{ as_of() }}
),

renamed as (
    select
        row_id as source_row_id,
        _valid_from as valid_from,
        case when _valid_to <= {{ as_of() }} then _valid_to end as valid_to,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(email), '') as email,
        nullif(trim(first_name), '') as first_name,
        nullif(trim(last_name), '') as last_name,
        nullif(trim(phone), '') as phone,
        date_of_birth,
        nullif(trim(gender), '') as gender,
        nullif(trim(address), '') as address,
        nullif(trim(city), '') as city,
        nullif(trim(state), '') as state,
        nullif(trim(country), '') as country,
        nullif(trim(postal_code), '') as postal_code,
        registration_date,
        is_active <> 0 as is_active,
        created_at,
        updated_at
    from source
)

select * from renamed
