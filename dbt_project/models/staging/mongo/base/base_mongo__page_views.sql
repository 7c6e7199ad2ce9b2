-- depends_on: {{ ref('stg_mongo__touched_page_views') }}
select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('view_id') }} as view_id,
    {{ tidy('session_id') }} as session_id,
    {{ tidy('customer_id') }} as customer_id,
    {{ tidy('page_url') }} as page_url,
    {{ tidy('page_title') }} as page_title,
    lower({{ tidy('page_type') }}) as page_type,
    sequence as page_sequence,
    time_on_page,
    scroll_depth,
    {{ tidy('referrer_url') }} as referrer_url,
    timestamp as viewed_at,
    created_at
from (
    select
        _id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'view_id': 'text',
            'session_id': 'text',
            'customer_id': 'text',
            'page_url': 'text',
            'page_title': 'text',
            'page_type': 'text',
            'sequence': 'integer',
            'time_on_page': 'integer',
            'scroll_depth': 'integer',
            'referrer_url': 'text',
            'timestamp': 'timestamptz',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ rows_to_judge('page_views') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
