{{ deduplicated(
    source=source('postgres', 'campaign_performance'),
    base=ref('base_postgres__campaign_performance'),
    keys={'performance_id': ('text', 'performance_id')},
    changed_at='created_at'
) }}
