with

survivors as (
    {{ survivors('sessions', ref('base_mongo__sessions')) }}
),

judged as (
    select
        survivors.*,
        customers.is_quarantined as customer_is_quarantined
    from survivors
    left join {{ ref('stg_mysql__customer_keys') }} as customers
        on survivors.customer_id = customers.customer_id
)

{{ quarantined('sessions', 'session_id') }}
