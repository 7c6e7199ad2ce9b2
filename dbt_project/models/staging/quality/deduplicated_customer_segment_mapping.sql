{{ deduplicated(
    source=source('mysql', 'customer_segment_mapping'),
    base=ref('base_mysql__customer_segment_mapping'),
    keys={'customer_id': ('text', 'customer_id'), 'segment_id': ('text', 'segment_id'), 'created_at': ('timestamptz', 'created_at')},
    changed_at='created_at'
) }}
