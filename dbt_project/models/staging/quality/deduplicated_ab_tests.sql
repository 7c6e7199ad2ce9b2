{{ deduplicated(
    source=source('postgres', 'ab_tests'),
    base=ref('base_postgres__ab_tests'),
    keys={'test_id': ('text', 'test_id')},
    changed_at='updated_at'
) }}
