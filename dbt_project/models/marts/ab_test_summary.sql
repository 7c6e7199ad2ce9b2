with

results as (
    select * from {{ ref('ab_test_results') }}
),

summarised as (
    select
        test_status,
        count(*) as tests,
        count(*) filter (where statistical_significance = 'significant') as significant,
        count(*) filter (where winner in ('A', 'B')) as clear_winner,
        count(*) filter (where result_state = 'split broken') as split_broken,
        count(*) filter (where result_state = 'not computable') as not_computable,
        as_of
    from results
    group by test_status, as_of
)

select * from summarised
