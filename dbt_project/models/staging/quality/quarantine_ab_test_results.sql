with

survivors as (
    {{ survivors('ab_test_results', ref('base_postgres__ab_test_results')) }}
),

judged as (
    select
        survivors.*,
        tests.is_quarantined as test_is_quarantined
    from survivors
    left join {{ ref('stg_postgres__test_keys') }} as tests
        on survivors.test_id = tests.test_id
)

{{ quarantined('ab_test_results', 'result_id') }}
