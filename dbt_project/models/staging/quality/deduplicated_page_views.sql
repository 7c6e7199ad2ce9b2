{{ config(meta={'touched_by': 'page_views'}, post_hook="{{ note_built() }}") }}

{{ deduplicated(
    source=source('mongo', 'page_views'),
    base=ref('base_mongo__page_views'),
    keys={'view_id': ('text', 'view_id')},
    changed_at='created_at'
) }}
