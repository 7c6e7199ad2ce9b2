with

judged as (
    {{ survivors('customer_segments', ref('base_mysql__customer_segments')) }}
)

{{ quarantined('customer_segments', 'segment_id') }}
