{{ deduplicated(
    source=source('mysql', 'transactions'),
    base=ref('base_mysql__transactions'),
    keys={'transaction_id': ('text', 'order_id')},
    changed_at='updated_at'
) }}
