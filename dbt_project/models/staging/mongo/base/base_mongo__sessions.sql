select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('session_id') }} as session_id,
    {{ tidy('customer_id') }} as customer_id,
    {{ tidy('anonymous_id') }} as anonymous_id,
    session_start,
    session_end,
    duration_seconds,
    lower({{ tidy('device_type') }}) as device_type,
    {{ tidy('browser') }} as browser,
    {{ tidy('os') }} as os,
    {{ tidy('ip_address') }} as ip_address,
    {{ tidy('country') }} as country,
    {{ tidy('referrer') }} as referrer,
    {{ tidy("utm ->> 'source'") }} as utm_source,
    {{ tidy("utm ->> 'medium'") }} as utm_medium,
    {{ tidy("utm ->> 'campaign'") }} as utm_campaign,
    {{ tidy('landing_page') }} as landing_page,
    updated_at
from (
    select
        _id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'session_id': 'text',
            'customer_id': 'text',
            'anonymous_id': 'text',
            'session_start': 'timestamptz',
            'session_end': 'timestamptz',
            'duration_seconds': 'integer',
            'device_type': 'text',
            'browser': 'text',
            'os': 'text',
            'ip_address': 'text',
            'country': 'text',
            'referrer': 'text',
            'utm': 'jsonb',
            'landing_page': 'text',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mongo', 'sessions') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
