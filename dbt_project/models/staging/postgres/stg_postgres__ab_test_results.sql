with

clean as (
    {{ clean_rows('ab_test_results', ref('base_postgres__ab_test_results')) }}
)

select
    result_id,
    test_id,
    variant,
    impressions,
    clicks,
    conversions,
    revenue,
    ctr,
    conversion_rate,
    created_at
from clean
