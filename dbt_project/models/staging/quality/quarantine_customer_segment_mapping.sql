with

survivors as (
    {{ survivors('customer_segment_mapping', ref('base_mysql__customer_segment_mapping')) }}
),

judged as (
    select
        survivors.*,
        customers.is_quarantined as customer_is_quarantined,
        segments.is_quarantined as segment_is_quarantined
    from survivors
    left join {{ ref('stg_mysql__customer_keys') }} as customers
        on survivors.customer_id = customers.customer_id
    left join {{ ref('stg_mysql__segment_keys') }} as segments
        on survivors.segment_id = segments.segment_id
)

{{ quarantined('customer_segment_mapping', "concat_ws('|', customer_id, segment_id, created_at)") }}
