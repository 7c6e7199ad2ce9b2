select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('segment_id') }} as segment_id,
    {{ tidy('segment_name') }} as segment_name,
    {{ tidy('description') }} as description,
    criteria,
    target_value,
    created_at,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'segment_id': 'text',
            'segment_name': 'text',
            'description': 'text',
            'criteria': 'jsonb',
            'target_value': 'numeric(18,2)',
            'created_at': 'timestamptz',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mysql', 'customer_segments') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
