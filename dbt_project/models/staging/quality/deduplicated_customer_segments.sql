{{ deduplicated(
    source=source('mysql', 'customer_segments'),
    base=ref('base_mysql__customer_segments'),
    keys={'segment_id': ('text', 'segment_id')},
    changed_at='updated_at'
) }}
