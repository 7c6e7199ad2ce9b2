{{ config(meta={'touched_by': 'events'}, post_hook="{{ note_built() }}") }}

{{ deduplicated(
    source=source('mongo', 'events'),
    base=ref('base_mongo__events'),
    keys={'event_id': ('text', 'event_id')},
    changed_at='created_at'
) }}
