-- depends_on: {{ ref('stg_mongo__touched_product_interactions') }}
select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('interaction_id') }} as interaction_id,
    {{ tidy('session_id') }} as session_id,
    {{ tidy('customer_id') }} as customer_id,
    {{ tidy('product_id') }} as product_id,
    lower({{ tidy('interaction_type') }}) as interaction_type,
    {{ tidy('product_name') }} as product_name,
    {{ tidy('category') }} as category,
    timestamp as occurred_at,
    created_at
from (
    select
        _id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'interaction_id': 'text',
            'session_id': 'text',
            'customer_id': 'text',
            'product_id': 'text',
            'interaction_type': 'text',
            'product_name': 'text',
            'category': 'text',
            'timestamp': 'timestamptz',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ rows_to_judge('product_interactions') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
