-- Returns a row when an experiment of staging is missing, or the statuses do not add up.
with

results as (
    select
        count(*) as tests,
        count(*) filter (where winner in ('A', 'B')) as clear_winner
    from {{ ref('ab_test_results') }}
),

summary as (
    select
        coalesce(sum(tests), 0) as tests,
        coalesce(sum(clear_winner), 0) as clear_winner
    from {{ ref('ab_test_summary') }}
),

expected as (
    select count(*) as tests
    from {{ ref('stg_postgres__ab_tests') }}
    where test_id is not null
)

select
    results.tests,
    summary.tests as summed,
    expected.tests as expected
from results
cross join summary
cross join expected
where
    results.tests <> summary.tests
    or results.clear_winner <> summary.clear_winner
    or results.tests <> expected.tests
