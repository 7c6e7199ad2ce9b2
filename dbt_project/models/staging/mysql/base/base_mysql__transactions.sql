select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('transaction_id') }} as order_id,
    {{ tidy('customer_id') }} as customer_id,
    order_date,
    total_amount,
    discount_amount,
    {{ tidy('payment_method') }} as payment_method,
    lower({{ tidy('order_status') }}) as order_status,
    {{ tidy('shipping_country') }} as shipping_country,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'transaction_id': 'text',
            'customer_id': 'text',
            'order_date': 'timestamptz',
            'total_amount': 'numeric(18,2)',
            'discount_amount': 'numeric(18,2)',
            'payment_method': 'text',
            'order_status': 'text',
            'shipping_country': 'text',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mysql', 'transactions') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
