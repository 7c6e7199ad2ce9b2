{{ deduplicated(
    source=source('mysql', 'customer_demographics'),
    base=ref('base_mysql__customer_demographics'),
    keys={'customer_id': ('text', 'customer_id')},
    changed_at='updated_at'
) }}
