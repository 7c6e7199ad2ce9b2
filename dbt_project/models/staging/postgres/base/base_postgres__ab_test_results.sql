select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('result_id') }} as result_id,
    {{ tidy('test_id') }} as test_id,
    upper({{ tidy('variant') }}) as variant,
    impressions,
    clicks,
    conversions,
    revenue,
    ctr,
    conversion_rate,
    created_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'result_id': 'text',
            'test_id': 'text',
            'variant': 'text',
            'impressions': 'bigint',
            'clicks': 'bigint',
            'conversions': 'bigint',
            'revenue': 'numeric(18,2)',
            'ctr': 'numeric(18,8)',
            'conversion_rate': 'numeric(18,8)',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('postgres', 'ab_test_results') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
