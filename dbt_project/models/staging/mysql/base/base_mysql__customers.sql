select
    source_key,
    batch_id,
    is_live,
    valid_from,
    valid_to,
    raw_row,
    unfit_columns,
    {{ tidy('customer_id') }} as customer_id,
    -- Not null where it is blank: that is an address which is none, and not one not given.
    lower(btrim(email, e' \t\r\n')) as email,
    {{ tidy('staging.mended_encoding(first_name)') }} as first_name,
    {{ tidy('staging.mended_encoding(last_name)') }} as last_name,
    {{ tidy('phone') }} as phone,
    date_of_birth,
    {{ tidy('gender') }} as gender,
    {{ tidy('staging.mended_encoding(address)') }} as address,
    {{ tidy('staging.mended_encoding(city)') }} as city,
    {{ tidy('staging.mended_encoding(state)') }} as state,
    {{ tidy('country') }} as country,
    {{ tidy('postal_code') }} as postal_code,
    registration_date,
    is_active <> 0 as is_active,
    created_at,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        _valid_from as valid_from,
        case when _valid_to <= {{ as_of() }} then _valid_to end as valid_to,
        {{ fit({
            'customer_id': 'text',
            'email': 'text',
            'first_name': 'text',
            'last_name': 'text',
            'phone': 'text',
            'date_of_birth': 'date',
            'gender': 'text',
            'address': 'text',
            'city': 'text',
            'state': 'text',
            'country': 'text',
            'postal_code': 'text',
            'registration_date': 'date',
            'is_active': 'smallint',
            'created_at': 'timestamptz',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mysql', 'customers') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
