with

entries as (
    select * from {{ ref('int_funnel__entries') }}
),

-- One row per entry and step: the time from entry to the step, or for how long it was looked for.
observed as (
    select
        coalesce(entries.device_type, 'unknown') as device_type,
        coalesce(entries.channel, 'unknown') as channel,
        case when entries.is_known_customer then 'customer' else 'anonymous' end as visitor,
        to_char(entries.entry_month, 'YYYY-MM') as entry_month,
        steps.step_number,
        steps.reached_before,
        steps.reached_at is not null as is_reached,
        steps.reached_at is null and entries.is_window_open as is_censored,
        (
            1000 * extract(
                epoch from coalesce(steps.reached_at, entries.observed_until) - entries.step_1_at
            )
        )::bigint as milliseconds
    from entries
    cross join lateral (
        values
        (1, true, entries.step_1_at),
        (2, true, entries.step_2_at),
        (3, entries.step_2_at is not null, entries.step_3_at),
        (4, entries.step_3_at is not null, entries.step_4_at),
        (5, entries.step_4_at is not null, entries.step_5_at)
    ) as steps (step_number, reached_before, reached_at)
),

-- Each breakdown counts every entry once; equal times are one row.
times as (
    select
        case
            when grouping(device_type) = 0 then 'device_type'
            when grouping(channel) = 0 then 'channel'
            when grouping(visitor) = 0 then 'visitor'
            when grouping(entry_month) = 0 then 'entry_month'
            else 'all'
        end as breakdown,
        coalesce(device_type, channel, visitor, entry_month, 'all') as breakdown_value,
        step_number,
        milliseconds,
        count(*) as entries,
        count(*) filter (where reached_before) as reached_before,
        count(*) filter (where is_reached) as reached,
        count(*) filter (where is_censored) as censored
    from observed
    group by
        grouping sets (
            (step_number, milliseconds),
            (step_number, milliseconds, device_type),
            (step_number, milliseconds, channel),
            (step_number, milliseconds, visitor),
            (step_number, milliseconds, entry_month)
        )
),

-- Kaplan and Meier: of those who were still without the step just before a time, the share that
-- stays without it. Who is censored at a time was still looked at then.
at_risk as (
    select
        *,
        sum(entries) over (
            partition by breakdown, breakdown_value, step_number
            order by milliseconds desc
        ) as entries_at_risk,
        sum(reached) over (
            partition by breakdown, breakdown_value, step_number
            order by milliseconds
        ) as reached_so_far
    from times
),

survival as (
    select
        *,
        case
            when bool_or(reached = entries_at_risk) over so_far then 0
            else exp(sum(
                ln(1 - least(reached::double precision / entries_at_risk, 0.9999999999))
            ) over so_far)
        end as share_without
    from at_risk
    window so_far as (
        partition by breakdown, breakdown_value, step_number order by milliseconds
    )
),

summarised as (
    select
        breakdown,
        breakdown_value,
        step_number,
        sum(entries)::bigint as entered,
        sum(reached_before)::bigint as reached_previous,
        sum(reached)::bigint as reached,
        sum(censored)::bigint as censored,
        1 - min(share_without) as estimated_conversion_rate,
        -- a half, multiplied up from other shares, may come out a little above
        min(milliseconds) filter (where share_without <= 0.5 + 1e-9) as median_milliseconds
    from survival
    group by breakdown, breakdown_value, step_number
),

-- The middle of the times of those who did get there.
middle as (
    select
        at_risk.breakdown,
        at_risk.breakdown_value,
        at_risk.step_number,
        min(at_risk.milliseconds) as milliseconds
    from at_risk
    inner join summarised
        on
            at_risk.breakdown = summarised.breakdown
            and at_risk.breakdown_value = summarised.breakdown_value
            and at_risk.step_number = summarised.step_number
    where at_risk.reached > 0 and at_risk.reached_so_far * 2 >= summarised.reached
    group by at_risk.breakdown, at_risk.breakdown_value, at_risk.step_number
),

final as (
    select
        summarised.breakdown,
        summarised.breakdown_value,
        summarised.step_number,
        case summarised.step_number
            when 1 then 'visit'
            when 2 then 'product_view'
            when 3 then 'add_to_cart'
            when 4 then 'checkout_start'
            when 5 then 'purchase'
        end as step_name,
        summarised.entered,
        summarised.reached_previous,
        summarised.reached,
        summarised.censored,
        round(
            summarised.reached::numeric / nullif(summarised.reached_previous, 0), 6
        )::numeric(7, 6) as step_conversion_rate,
        round(
            summarised.reached::numeric / summarised.entered, 6
        )::numeric(7, 6) as overall_conversion_rate,
        round(
            summarised.estimated_conversion_rate::numeric, 6
        )::numeric(7, 6) as estimated_conversion_rate,
        round(
            summarised.median_milliseconds / 3600000.0, 4
        )::numeric(18, 4) as median_hours_to_step,
        round(middle.milliseconds / 3600000.0, 4)::numeric(18, 4) as median_hours_of_converted,
        {{ var('funnel_window_days') }} as window_days,
        {{ as_of() }} as as_of
    from summarised
    left join middle
        on
            summarised.breakdown = middle.breakdown
            and summarised.breakdown_value = middle.breakdown_value
            and summarised.step_number = middle.step_number
)

select * from final
