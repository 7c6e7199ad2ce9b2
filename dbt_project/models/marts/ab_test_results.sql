with

tests as (
    select * from {{ ref('stg_postgres__ab_tests') }}
    where test_id is not null
),

counted as (
    select * from {{ ref('int_experiments__counted') }}
),

compared as (
    select * from {{ ref('int_experiments__compared') }}
),

decided as (
    select * from {{ ref('int_experiments__decided') }}
),

measured as (
    select
        tests.test_id,
        tests.test_name,
        tests.campaign_id,
        coalesce(tests.test_status, 'unknown') as test_status,
        tests.start_date,
        tests.end_date,
        tests.sample_size as sample_size_planned,
        counted.variant_a_impressions,
        counted.variant_a_clicks,
        counted.variant_a_conversions,
        counted.variant_b_impressions,
        counted.variant_b_clicks,
        counted.variant_b_conversions,
        counted.not_computable_because,
        counted.variant_a_impressions::numeric + counted.variant_b_impressions as sample_size,
        {% for variant in ['a', 'b'] %}
            {% for figure, rate in [('clicks', 'ctr'), ('conversions', 'conversion_rate')] %}
                case
                    when
                        counted.variant_{{ variant }}_{{ figure }} >= 0
                        and counted.variant_{{ variant }}_{{ figure }}
                        <= counted.variant_{{ variant }}_impressions
                        then round(
                            counted.variant_{{ variant }}_{{ figure }}::numeric
                            / nullif(counted.variant_{{ variant }}_impressions, 0), 8
                        )
                end::numeric(18, 8) as variant_{{ variant }}_{{ rate }},
            {% endfor %}
        {% endfor %}
        coalesce(
            least(counted.variant_a_impressions, counted.variant_b_impressions)
            < {{ var('experiment_small_sample') }},
            false
        ) as is_small_sample,
        100 * compared.lift as lift_percentage,
        100 * compared.lift_low as lift_percentage_low,
        100 * compared.lift_high as lift_percentage_high,
        100 * compared.always_valid_lift_low as always_valid_lift_percentage_low,
        100 * compared.always_valid_lift_high as always_valid_lift_percentage_high,
        compared.p_value,
        compared.always_valid_p_value,
        compared.two_proportion_z,
        compared.two_proportion_p_value,
        compared.chance_to_win,
        compared.sample_ratio_p_value,
        100 * compared.minimum_detectable_lift as minimum_detectable_lift_percentage,
        compared.sample_size_required,
        decided.is_final,
        decided.decision_p_value,
        decided.p_value_adjusted,
        decided.family_size,
        decided.statistical_significance,
        decided.has_sample_ratio_mismatch,
        decided.has_device_mismatch,
        decided.has_simpsons_reversal,
        decided.device_mix_p_value,
        100 * decided.device_adjusted_lift as device_adjusted_lift_percentage,
        decided.device_adjusted_p_value,
        decided.result_state,
        decided.winner,
        decided.recommendation
    from tests
    inner join counted on tests.test_id = counted.test_id
    inner join compared on tests.test_id = compared.test_id
    inner join decided on tests.test_id = decided.test_id
),

-- The interval is the one that the decision is read off: the fixed one at the end, until then the
-- one that holds at every look.
worded as (
    select
        *,
        'variant B converts at ' || {{ percent('100 * variant_b_conversion_rate', 2) }}
        || ', variant A at ' || {{ percent('100 * variant_a_conversion_rate', 2) }} as rates_said,
        'the lift is ' || {{ percent('lift_percentage') }} || ', and most likely between '
        || {{ percent(
            'case when is_final then lift_percentage_low else always_valid_lift_percentage_low end'
        ) }} || ' and '
        || {{ percent(
            'case when is_final then lift_percentage_high else always_valid_lift_percentage_high end'
        ) }} as lift_said,
        case when is_final then 'The test is over' else 'The test is still running' end as stage,
        to_char(variant_a_impressions, 'FM999,999,999,999,999,999,990') || ' times variant A and '
        || to_char(variant_b_impressions, 'FM999,999,999,999,999,999,990')
        || ' times variant B' as shown_said,
        coalesce(
            'To find a lift of {{ 100 * var("experiment_minimum_lift") }} % reliably takes '
            || to_char(sample_size_required, 'FM999,999,999,999,999,999,990')
            || ' impressions in all; there are '
            || to_char(sample_size, 'FM999,999,999,999,999,999,990') || '.',
            ''
        ) as size_said
    from measured
),

final as (
    select
        test_id,
        test_name,
        campaign_id,
        test_status,
        start_date,
        end_date,
        is_final,
        sample_size_planned,
        variant_a_impressions,
        variant_a_clicks,
        variant_a_conversions,
        variant_a_ctr,
        variant_a_conversion_rate,
        variant_b_impressions,
        variant_b_clicks,
        variant_b_conversions,
        variant_b_ctr,
        variant_b_conversion_rate,
        lift_percentage,
        lift_percentage_low,
        lift_percentage_high,
        always_valid_lift_percentage_low,
        always_valid_lift_percentage_high,
        p_value,
        always_valid_p_value,
        two_proportion_z,
        two_proportion_p_value,
        decision_p_value,
        p_value_adjusted,
        family_size,
        statistical_significance,
        {{ var('experiment_confidence_level') }}::numeric(18, 6) as confidence_level,
        chance_to_win,
        sample_ratio_p_value,
        has_sample_ratio_mismatch,
        device_mix_p_value,
        has_device_mismatch,
        device_adjusted_lift_percentage,
        device_adjusted_p_value,
        has_simpsons_reversal,
        is_small_sample,
        minimum_detectable_lift_percentage,
        sample_size_required,
        result_state,
        winner,
        recommendation,
        case
            when has_sample_ratio_mismatch
                then
                    'The split is not the planned one: shown were ' || shown_said || ', where '
                    || {{ percent(100 * var('experiment_share_of_b')) }}
                    || ' of all were meant for variant B ('
                    || {{ p_value_said('sample_ratio_p_value') }}
                    || '). Find out why, and do not believe the figures until then.'
            when has_device_mismatch
                then
                    'The split is not the same on all devices ('
                    || {{ p_value_said('device_mix_p_value') }}
                    || '), so the variants were seen by different people. '
                    || case
                        when has_simpsons_reversal
                            then
                                'In all, the lift is ' || {{ percent('lift_percentage') }}
                                || '; compared device by device it is '
                                || {{ percent('device_adjusted_lift_percentage') }}
                                || ', the other way round (Simpson''s paradox). '
                        else ''
                    end || 'Find out why, and do not believe the figures until then.'
            when result_state = 'not computable'
                then
                    'There is no lift to compute: ' || not_computable_because || '.'
                    || case
                        when two_proportion_p_value < 1 - {{ var('experiment_confidence_level') }}
                            then
                                ' The rates differ beyond chance all the same ('
                                || {{ p_value_said('two_proportion_p_value') }}
                                || '): see first whether conversions are recorded.'
                        else ''
                    end
            when result_state = 'decided'
                then
                    stage || ', and the difference is beyond chance, also among '
                    || family_size || ' tests: ' || rates_said || '; ' || lift_said || '.'
            when statistical_significance = 'significant'
                then
                    stage || '. The difference would be significant if this were the only test ('
                    || {{ p_value_said('decision_p_value') }} || '), but not among '
                    || family_size || ': ' || lift_said || '. ' || size_said
            when not is_final
                then stage || ', and nothing is certain yet: ' || lift_said || '. ' || size_said
            else stage || ' without a difference beyond chance: ' || lift_said || '. ' || size_said
        end || case
            when is_small_sample
                then ' The sample is small, so that all figures are rough.'
            else ''
        end as recommendation_reason,
        {{ as_of() }} as as_of
    from worded
)

select * from final
