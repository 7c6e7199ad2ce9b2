with

clean as (
    {{ clean_rows('customer_segments', ref('base_mysql__customer_segments')) }}
)

select
    segment_id,
    segment_name,
    description,
    criteria,
    target_value,
    created_at,
    updated_at
from clean
