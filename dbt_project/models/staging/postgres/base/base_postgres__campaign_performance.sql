select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('performance_id') }} as performance_id,
    {{ tidy('campaign_id') }} as campaign_id,
    date as performance_date,
    impressions,
    clicks,
    conversions,
    spend,
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
            'performance_id': 'text',
            'campaign_id': 'text',
            'date': 'date',
            'impressions': 'bigint',
            'clicks': 'bigint',
            'conversions': 'bigint',
            'spend': 'numeric(18,2)',
            'revenue': 'numeric(18,2)',
            'ctr': 'numeric(18,8)',
            'conversion_rate': 'numeric(18,8)',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ source('postgres', 'campaign_performance') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
