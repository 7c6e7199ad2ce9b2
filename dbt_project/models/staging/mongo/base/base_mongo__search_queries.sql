-- depends_on: {{ ref('stg_mongo__touched_search_queries') }}
select
    source_key,
    batch_id,
    is_live,
    raw_row,
    unfit_columns,
    {{ tidy('query_id') }} as query_id,
    {{ tidy('session_id') }} as session_id,
    {{ tidy('customer_id') }} as customer_id,
    {{ tidy('search_term') }} as search_term,
    results_count,
    {{ tidy('clicked_result') }} as clicked_result,
    filters,
    timestamp as searched_at,
    created_at
from (
    select
        _id as source_key,
        _batch_id as batch_id,
        {{ live_on_the_night() }} as is_live,
        {{ fit({
            'query_id': 'text',
            'session_id': 'text',
            'customer_id': 'text',
            'search_term': 'text',
            'results_count': 'integer',
            'clicked_result': 'text',
            'filters': 'jsonb',
            'timestamp': 'timestamptz',
            'created_at': 'timestamptz',
        }) }},
        to_jsonb(raw) - array['_batch_id', '_valid_from', '_valid_to'] as raw_row
    from {{ rows_to_judge('search_queries') }} as raw
    where _valid_from <= {{ as_of() }}
) as fitted
