{{ config(meta={'touched_by': 'product_interactions'}, post_hook="{{ note_built() }}") }}

{{ deduplicated(
    source=source('mongo', 'product_interactions'),
    base=ref('base_mongo__product_interactions'),
    keys={'interaction_id': ('text', 'interaction_id')},
    changed_at='created_at'
) }}
