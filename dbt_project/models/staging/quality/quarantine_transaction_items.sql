with

survivors as (
    {{ survivors('transaction_items', ref('base_mysql__transaction_items')) }}
),

judged as (
    select
        survivors.*,
        orders.is_quarantined as order_is_quarantined
    from survivors
    left join {{ ref('stg_mysql__order_keys') }} as orders
        on survivors.order_id = orders.order_id
)

{{ quarantined('transaction_items', 'item_id') }}
