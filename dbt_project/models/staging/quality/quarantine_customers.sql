with

judged as (
    {{ survivors('customers', ref('base_mysql__customers')) }}
)

{{ quarantined('customers', 'customer_id') }}
