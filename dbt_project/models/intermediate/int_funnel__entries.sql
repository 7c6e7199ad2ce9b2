with

sessions as (
    select
        *,
        date_trunc('month', session_start at time zone 'UTC')::date as entry_month
    from {{ ref('int_sessions__enriched') }}
    where not is_bot
),

actions as (
    select * from {{ ref('int_funnel__actions') }}
),

-- The first session of each visitor in each calendar month.
entries as (
    select distinct on (visitor_id, entry_month)
        visitor_id,
        entry_month,
        session_start as step_1_at,
        session_start + interval '{{ var("funnel_window_days") }} days' as window_end,
        device_type,
        channel,
        customer_id is not null as is_known_customer
    from sessions
    order by visitor_id, entry_month, session_start, session_id collate "C"
),

reached_2 as (
    select
        before.visitor_id,
        before.entry_month,
        before.window_end,
        min(actions.occurred_at) as step_2_at
    from entries as before
    inner join actions
        on
            before.visitor_id = actions.visitor_id
            and before.step_1_at <= actions.occurred_at
            and before.window_end > actions.occurred_at
    where actions.step_number = 2
    group by before.visitor_id, before.entry_month, before.window_end
),

reached_3 as (
    select
        before.visitor_id,
        before.entry_month,
        before.window_end,
        min(actions.occurred_at) as step_3_at
    from reached_2 as before
    inner join actions
        on
            before.visitor_id = actions.visitor_id
            and before.step_2_at <= actions.occurred_at
            and before.window_end > actions.occurred_at
    where actions.step_number = 3
    group by before.visitor_id, before.entry_month, before.window_end
),

reached_4 as (
    select
        before.visitor_id,
        before.entry_month,
        before.window_end,
        min(actions.occurred_at) as step_4_at
    from reached_3 as before
    inner join actions
        on
            before.visitor_id = actions.visitor_id
            and before.step_3_at <= actions.occurred_at
            and before.window_end > actions.occurred_at
    where actions.step_number = 4
    group by before.visitor_id, before.entry_month, before.window_end
),

reached_5 as (
    select
        before.visitor_id,
        before.entry_month,
        before.window_end,
        min(actions.occurred_at) as step_5_at
    from reached_4 as before
    inner join actions
        on
            before.visitor_id = actions.visitor_id
            and before.step_4_at <= actions.occurred_at
            and before.window_end > actions.occurred_at
    where actions.step_number = 5
    group by before.visitor_id, before.entry_month, before.window_end
),

final as (
    select
        entries.visitor_id,
        entries.entry_month,
        entries.device_type,
        entries.channel,
        entries.is_known_customer,
        least(entries.window_end, {{ as_of_start() }}) as observed_until,
        entries.window_end > {{ as_of_start() }} as is_window_open,
        entries.step_1_at,
        reached_2.step_2_at,
        reached_3.step_3_at,
        reached_4.step_4_at,
        reached_5.step_5_at
    from entries
    left join reached_2
        on
            entries.visitor_id = reached_2.visitor_id
            and entries.entry_month = reached_2.entry_month
    left join reached_3
        on
            entries.visitor_id = reached_3.visitor_id
            and entries.entry_month = reached_3.entry_month
    left join reached_4
        on
            entries.visitor_id = reached_4.visitor_id
            and entries.entry_month = reached_4.entry_month
    left join reached_5
        on
            entries.visitor_id = reached_5.visitor_id
            and entries.entry_month = reached_5.entry_month
)

select * from final
