select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('customer_id') }} as customer_id,
    {{ tidy('age_group') }} as age_group,
    {{ tidy('income_level') }} as income_level,
    {{ tidy('education_level') }} as education_level,
    {{ tidy('occupation') }} as occupation,
    household_size,
    interests,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'customer_id': 'text',
            'age_group': 'text',
            'income_level': 'text',
            'education_level': 'text',
            'occupation': 'text',
            'household_size': 'integer',
            'interests': 'jsonb',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('mysql', 'customer_demographics') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
