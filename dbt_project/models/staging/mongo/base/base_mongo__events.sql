-- depends_on: {{ ref('stg_mongo__touched_events') }}
select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('event_id') }} as event_id,
    {{ tidy('session_id') }} as session_id,
    {{ tidy('customer_id') }} as customer_id,
    lower({{ tidy('event_type') }}) as event_type,
    event_data,
    timestamp as occurred_at,
    {{ tidy('page_url') }} as page_url,
    {{ tidy('user_agent') }} as user_agent,
    created_at
from (
    select
        _id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'event_id': 'text',
            'session_id': 'text',
            'customer_id': 'text',
            'event_type': 'text',
            'event_data': 'jsonb',
            'timestamp': 'timestamptz',
            'page_url': 'text',
            'user_agent': 'text',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ rows_to_judge('events') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
