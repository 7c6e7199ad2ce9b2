with

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
),

-- People only, and those who saw one variant.
exposures as (
    select shown.*
    from {{ ref('int_experiments__exposures') }} as shown
    left join sessions on shown.session_id = sessions.session_id
    where not shown.is_crossover and sessions.is_bot is not true
),

devices as (
    select
        test_id,
        coalesce(device_type, 'unknown') as device_type,
        count(*)::double precision as n,
        count(*) filter (where variant = 'A')::double precision as n_a,
        count(*) filter (where variant = 'B')::double precision as n_b,
        count(converted_at) filter (where variant = 'A')::double precision as x_a,
        count(converted_at) filter (where variant = 'B')::double precision as x_b
    from exposures
    group by test_id, coalesce(device_type, 'unknown')
),

in_all as (
    select
        *,
        sum(n) over (partition by test_id) as all_n,
        sum(n_a) over (partition by test_id) as all_a,
        sum(n_b) over (partition by test_id) as all_b
    from devices
),

-- The number of B on a device, given how many there are of B and of the device in all, is
-- hypergeometric.
tilted as (
    select
        *,
        (n_b - n * all_b / all_n)
        / sqrt(nullif(n * (all_n - n) * all_a * all_b, 0) / (all_n * all_n * (all_n - 1)))
            as tilt_z
    from in_all
),

summed as (
    select
        test_id,
        sum(n_a)::bigint as tracked_a,
        sum(n_b)::bigint as tracked_b,
        count(tilt_z) as devices,
        max(abs(tilt_z)) as largest_tilt_z,
        -- Mantel-Haenszel: devices where one variant was not shown add nothing. Floating point adds
        -- up to the same only in the same order.
        sum(x_b * n_a / n order by device_type collate "C") as weighted_b,
        sum(x_a * n_b / n order by device_type collate "C") as weighted_a,
        sum(x_b - (x_a + x_b) * n_b / n order by device_type collate "C") as excess_b,
        sum(
            n_a * n_b * (x_a + x_b) * (n - x_a - x_b) / (n * n * nullif(n - 1, 0))
            order by device_type collate "C"
        ) as excess_variance
    from tilted
    group by test_id
)

select
    test_id,
    tracked_a,
    tracked_b,
    -- Bonferroni over the devices; least() would take 1 where there is nothing to compare
    case
        when largest_tilt_z is not null
            then least(1, devices * 2 * {{ normal_cdf('-largest_tilt_z') }})
    end as device_mix_p_value,
    weighted_b / nullif(weighted_a, 0) - 1 as device_adjusted_lift,
    2 * {{ normal_cdf('-abs(excess_b) / sqrt(nullif(excess_variance, 0))') }}
        as device_adjusted_p_value
from summed
