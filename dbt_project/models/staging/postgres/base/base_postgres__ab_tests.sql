select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('test_id') }} as test_id,
    {{ tidy('test_name') }} as test_name,
    {{ tidy('campaign_id') }} as campaign_id,
    {{ tidy('variant_a_description') }} as variant_a_description,
    {{ tidy('variant_b_description') }} as variant_b_description,
    start_date,
    end_date,
    sample_size,
    lower({{ tidy('test_status') }}) as test_status,
    created_at,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'test_id': 'text',
            'test_name': 'text',
            'campaign_id': 'text',
            'variant_a_description': 'text',
            'variant_b_description': 'text',
            'start_date': 'date',
            'end_date': 'date',
            'sample_size': 'bigint',
            'test_status': 'text',
            'created_at': 'timestamptz',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('postgres', 'ab_tests') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
