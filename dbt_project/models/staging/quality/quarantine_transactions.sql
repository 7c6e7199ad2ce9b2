with

survivors as (
    {{ survivors('transactions', ref('base_mysql__transactions')) }}
),

judged as (
    select
        survivors.*,
        customers.is_quarantined as customer_is_quarantined,
        totals.line_totals
    from survivors
    left join {{ ref('stg_mysql__customer_keys') }} as customers
        on survivors.customer_id = customers.customer_id
    left join {{ ref('stg_mysql__order_line_totals') }} as totals
        on survivors.order_id = totals.order_id
)

{{ quarantined('transactions', 'order_id') }}
