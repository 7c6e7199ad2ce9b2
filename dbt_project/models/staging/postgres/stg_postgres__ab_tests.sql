with

clean as (
    {{ clean_rows('ab_tests', ref('base_postgres__ab_tests')) }}
)

select
    test_id,
    test_name,
    campaign_id,
    variant_a_description,
    variant_b_description,
    start_date,
    end_date,
    sample_size,
    test_status,
    created_at,
    updated_at
from clean
