select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('item_id') }} as item_id,
    {{ tidy('transaction_id') }} as order_id,
    {{ tidy('product_id') }} as product_id,
    {{ tidy('product_name') }} as product_name,
    {{ tidy('category') }} as category,
    quantity,
    unit_price,
    discount_percent,
    line_total,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'item_id': 'text',
            'transaction_id': 'text',
            'product_id': 'text',
            'product_name': 'text',
            'category': 'text',
            'quantity': 'integer',
            'unit_price': 'numeric(18,6)',
            'discount_percent': 'numeric(9,4)',
            'line_total': 'numeric(18,2)',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mysql', 'transaction_items') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
