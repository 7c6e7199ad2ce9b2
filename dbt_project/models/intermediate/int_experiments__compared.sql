{%- set confidence = var('experiment_confidence_level') -%}
with

counted as (
    select * from {{ ref('int_experiments__counted') }}
),

settings as (
    select
        alpha,
        {{ normal_quantile('1 - alpha / 2') }} as z_alpha,
        {{ normal_quantile(var('experiment_power')) }} as z_power,
        {{ var('experiment_share_of_b') }}::double precision as share_b,
        {{ var('experiment_minimum_lift') }}::double precision as minimum_lift,
        -- the mixture with the narrowest interval after experiment_sequential_tuning impressions
        (-2 * ln(alpha) + ln(-2 * ln(alpha) + 1))
        / {{ var('experiment_sequential_tuning') }} as rho2
    from (select (1 - {{ confidence }})::double precision as alpha) as risks
),

-- The split needs impressions only, the rates sound figures, the lift conversions in both.
figures as (
    select
        settings.*,
        counted.test_id,
        counted.not_computable_because is null as has_lift,
        case
            when counted.variant_a_impressions >= 0
                then counted.variant_a_impressions::double precision
        end as shown_a,
        case
            when counted.variant_b_impressions >= 0
                then counted.variant_b_impressions::double precision
        end as shown_b,
        case
            when counted.has_figures
                then counted.variant_a_impressions::double precision
        end as n_a,
        case
            when counted.has_figures
                then counted.variant_b_impressions::double precision
        end as n_b,
        counted.variant_a_conversions::double precision as x_a,
        counted.variant_b_conversions::double precision as x_b
    from counted
    cross join settings
),

rates as (
    select
        *,
        n_a + n_b as n,
        x_a / n_a as rate_a,
        x_b / n_b as rate_b,
        (x_a + x_b) / (n_a + n_b) as rate,
        shown_a + shown_b as shown,
        -- the rate of B if it had the smallest lift that is worth finding, and of both together
        x_a / n_a * (1 + minimum_lift) as goal_b,
        x_a / n_a * (1 + share_b * minimum_lift) as goal
    from figures
),

errors as (
    select
        *,
        rate_b / nullif(rate_a, 0) - 1 as lift,
        case
            when has_lift
                then sqrt(
                    rate_b * (1 - rate_b) / (n_b * rate_a * rate_a)
                    + rate_b * rate_b * (1 - rate_a) / (n_a * rate_a * rate_a * rate_a)
                )
        end as lift_error,
        sqrt(nullif(rate * (1 - rate), 0) * (1 / n_a + 1 / n_b)) as pooled_error,
        sqrt(nullif(rate_a * (1 - rate_a), 0) * (1 / n_a + 1 / n_b)) as null_error,
        n * rho2 + 1 as mixture,
        (shown_b - shown * share_b) / sqrt(nullif(shown, 0) * share_b * (1 - share_b)) as split_z
    from rates
),

scored as (
    select
        *,
        lift / lift_error as lift_z,
        (rate_b - rate_a) / pooled_error as two_proportion_z,
        z_alpha * lift_error as margin,
        lift_error * sqrt(2 * mixture / (n * rho2) * ln(sqrt(mixture) / alpha))
            as always_valid_margin
    from errors
),

final as (
    select
        test_id,
        lift,
        lift - margin as lift_low,
        lift + margin as lift_high,
        lift - always_valid_margin as always_valid_lift_low,
        lift + always_valid_margin as always_valid_lift_high,
        2 * {{ normal_cdf('-abs(lift_z)') }} as p_value,
        -- one over the mixture's likelihood ratio; least() would take 1 where there is none
        case
            when lift_z is not null
                then least(
                    1,
                    sqrt(mixture)
                    * exp(greatest(-rho2 * n * lift_z * lift_z / (2 * mixture), -700))
                )
        end as always_valid_p_value,
        two_proportion_z,
        2 * {{ normal_cdf('-abs(two_proportion_z)') }} as two_proportion_p_value,
        {{ normal_cdf('lift_z') }} as chance_to_win,
        2 * {{ normal_cdf('-abs(split_z)') }} as sample_ratio_p_value,
        (z_alpha + z_power) * null_error / nullif(rate_a, 0) as minimum_detectable_lift,
        case
            when goal_b > 0 and goal_b < 1
                then least(
                    ceil(
                        (
                            (
                                z_alpha * sqrt(goal * (1 - goal) / (share_b * (1 - share_b)))
                                + z_power * sqrt(
                                    rate_a * (1 - rate_a) / (1 - share_b)
                                    + goal_b * (1 - goal_b) / share_b
                                )
                            ) / (goal_b - rate_a)
                        ) ^ 2
                    ),
                    9e18
                )::bigint
        end as sample_size_required
    from scored
)

select * from final
