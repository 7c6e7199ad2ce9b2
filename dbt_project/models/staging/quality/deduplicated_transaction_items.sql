{{ deduplicated(
    source=source('mysql', 'transaction_items'),
    base=ref('base_mysql__transaction_items'),
    keys={'item_id': ('text', 'item_id')},
    changed_at='updated_at'
) }}
