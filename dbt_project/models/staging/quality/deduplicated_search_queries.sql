{{ config(meta={'touched_by': 'search_queries'}, post_hook="{{ note_built() }}") }}

{{ deduplicated(
    source=source('mongo', 'search_queries'),
    base=ref('base_mongo__search_queries'),
    keys={'query_id': ('text', 'query_id')},
    changed_at='created_at'
) }}
