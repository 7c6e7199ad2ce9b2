with

survivors as (
    {{ survivors('customer_demographics', ref('base_mysql__customer_demographics')) }}
),

judged as (
    select
        survivors.*,
        customers.is_quarantined as customer_is_quarantined
    from survivors
    left join {{ ref('stg_mysql__customer_keys') }} as customers
        on survivors.customer_id = customers.customer_id
)

{{ quarantined('customer_demographics', 'customer_id') }}
