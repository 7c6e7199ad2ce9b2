with

clean as (
    {{ clean_rows('customer_segment_mapping', ref('base_mysql__customer_segment_mapping')) }}
)

select
    source_key as assignment_key,
    customer_id,
    segment_id,
    assigned_date,
    score,
    confidence,
    created_at
from clean
