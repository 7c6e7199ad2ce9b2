{{ deduplicated(
    source=source('postgres', 'campaigns'),
    base=ref('base_postgres__campaigns'),
    keys={'campaign_id': ('text', 'campaign_id')},
    changed_at='updated_at'
) }}
