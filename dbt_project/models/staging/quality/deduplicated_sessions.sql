{{ deduplicated(
    source=source('mongo', 'sessions'),
    base=ref('base_mongo__sessions'),
    keys={'session_id': ('text', 'session_id')},
    changed_at='updated_at'
) }}
