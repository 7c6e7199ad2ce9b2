select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('campaign_id') }} as campaign_id,
    {{ tidy('campaign_name') }} as campaign_name,
    {{ tidy('campaign_type') }} as campaign_type,
    {{ tidy('channel') }} as channel,
    {{ tidy('target_audience') }} as target_audience,
    start_date,
    end_date,
    budget,
    lower({{ tidy('status') }}) as status,
    created_at,
    updated_at
from (
    select
        row_id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'campaign_id': 'text',
            'campaign_name': 'text',
            'campaign_type': 'text',
            'channel': 'text',
            'target_audience': 'text',
            'start_date': 'date',
            'end_date': 'date',
            'budget': 'numeric(18,2)',
            'status': 'text',
            'created_at': 'timestamptz',
            'updated_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('postgres', 'campaigns') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
