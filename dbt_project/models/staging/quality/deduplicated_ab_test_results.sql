{{ deduplicated(
    source=source('postgres', 'ab_test_results'),
    base=ref('base_postgres__ab_test_results'),
    keys={'result_id': ('text', 'result_id')},
    changed_at='created_at'
) }}
