with

tests as (
    select * from {{ ref('stg_postgres__ab_tests') }}
    where test_id is not null
),

compared as (
    select * from {{ ref('int_experiments__compared') }}
),

by_device as (
    select * from {{ ref('int_experiments__by_device') }}
),

staged as (
    select
        test_id,
        coalesce(
            test_status in (
                {%- for status in var('experiment_final_statuses') %}
                    '{{ status }}'{{ ',' if not loop.last }}
                {%- endfor %}
            ),
            false
        ) or coalesce(end_date < {{ as_of() }}, false) as is_final
    from tests
),

-- A fixed-sample test may be read once, at the end. Until then only what holds at every look
-- counts: a running test is read every night.
judged as (
    select
        compared.test_id,
        compared.lift,
        staged.is_final,
        case
            when staged.is_final then compared.p_value
            else compared.always_valid_p_value
        end as decision_p_value,
        by_device.device_mix_p_value,
        by_device.device_adjusted_lift,
        by_device.device_adjusted_p_value,
        coalesce(
            compared.sample_ratio_p_value < {{ var('experiment_split_alpha') }}, false
        ) as has_sample_ratio_mismatch,
        coalesce(
            by_device.device_mix_p_value < {{ var('experiment_split_alpha') }}, false
        ) as has_device_mismatch
    from compared
    inner join staged on compared.test_id = staged.test_id
    left join by_device on compared.test_id = by_device.test_id
),

-- Where the split is broken nothing is decided: such tests are no part of the family over which
-- Benjamini and Hochberg correct.
split as (
    select
        *,
        not has_sample_ratio_mismatch and not has_device_mismatch as has_sound_split,
        decision_p_value is not null
        and not has_sample_ratio_mismatch
        and not has_device_mismatch as is_in_family
    from judged
),

ranked as (
    select
        *,
        count(*) over (partition by is_in_family) as family_size,
        row_number() over (
            partition by is_in_family
            order by decision_p_value, test_id collate "C"
        ) as p_rank
    from split
),

-- The quotient first, so that the largest p-value is not rounded to less than itself.
adjusted as (
    select
        *,
        case
            when is_in_family
                then least(
                    1,
                    min(decision_p_value * (family_size::double precision / p_rank)) over (
                        partition by is_in_family
                        order by p_rank desc
                    )
                )
        end as p_value_adjusted
    from ranked
),

stated as (
    select
        *,
        case
            when not has_sound_split then 'split broken'
            when decision_p_value is null then 'not computable'
            when p_value_adjusted <= {{ var('experiment_false_discovery_rate') }} then 'decided'
            else 'undecided'
        end as result_state
    from adjusted
),

final as (
    select
        test_id,
        is_final,
        decision_p_value,
        p_value_adjusted,
        case when is_in_family then family_size end as family_size,
        case
            when decision_p_value is null then 'not computable'
            when decision_p_value < 1 - {{ var('experiment_confidence_level') }}
                then 'significant'
            else 'not significant'
        end as statistical_significance,
        has_sample_ratio_mismatch,
        has_device_mismatch,
        has_device_mismatch
        and coalesce(lift * device_adjusted_lift < 0, false) as has_simpsons_reversal,
        device_mix_p_value,
        device_adjusted_lift,
        device_adjusted_p_value,
        result_state,
        case
            when result_state = 'decided' then case when lift > 0 then 'B' else 'A' end
            when result_state = 'undecided' then 'Tie'
        end as winner,
        case
            when result_state = 'split broken' then 'Fix the split'
            when result_state = 'decided'
                then
                    case when lift > 0 then 'Implement B' else 'Implement A' end
            else 'Continue'
        end as recommendation
    from stated
)

select * from final
