{{ deduplicated(
    source=source('mysql', 'customers'),
    base=ref('base_mysql__customers'),
    keys={'customer_id': ('text', 'customer_id')},
    changed_at='updated_at'
) }}
