select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('customer_id') }} as customer_id,
    {{ tidy('segment_id') }} as segment_id,
    assigned_date,
    score,
    confidence,
    created_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'customer_id': 'text',
            'segment_id': 'text',
            'assigned_date': 'date',
            'score': 'numeric(9,4)',
            'confidence': 'numeric(9,4)',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mysql', 'customer_segment_mapping') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
