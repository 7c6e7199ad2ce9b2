with

events as (
    select
        event_id,
        session_id,
        event_type,
        nullif(trim(event_data ->> 'test_id'), '') as test_id,
        upper(nullif(trim(event_data ->> 'variant'), '')) as variant,
        occurred_at
    from {{ ref('stg_mongo__events') }}
    where
        event_type in ('experiment_exposure', 'experiment_conversion')
        and occurred_at < {{ as_of_start() }}
),

sessions as (
    select * from {{ ref('stg_mongo__sessions') }}
),

located as (
    select
        events.event_id,
        events.event_type,
        events.test_id,
        events.variant,
        events.occurred_at,
        events.session_id,
        sessions.customer_id,
        sessions.anonymous_id,
        sessions.device_type,
        coalesce(
            sessions.anonymous_id, sessions.customer_id, events.session_id
        ) as unit_id
    from events
    inner join sessions on events.session_id = sessions.session_id
    where
        events.test_id is not null
        and (events.event_type = 'experiment_conversion' or events.variant in ('A', 'B'))
),

-- One sort, and no join of the events with themselves: their number per unit is not known to the
-- planner.
numbered as (
    select
        *,
        event_type = 'experiment_exposure' as is_exposure,
        row_number() over (
            partition by test_id, unit_id, event_type
            order by occurred_at, event_id collate "C"
        ) as nth,
        min(occurred_at) filter (where event_type = 'experiment_exposure') over (
            partition by test_id, unit_id
        ) as exposed_at
    from located
),

final as (
    select
        test_id,
        unit_id,
        max(variant) filter (where is_exposure and nth = 1) as variant,
        min(variant) filter (where is_exposure)
        <> max(variant) filter (where is_exposure) as is_crossover,
        max(session_id) filter (where is_exposure and nth = 1) as session_id,
        max(customer_id) filter (where is_exposure and nth = 1) as customer_id,
        max(anonymous_id) filter (where is_exposure and nth = 1) as anonymous_id,
        max(device_type) filter (where is_exposure and nth = 1) as device_type,
        exposed_at,
        min(occurred_at) filter (
            where not is_exposure and occurred_at >= exposed_at
        ) as converted_at
    from numbered
    where exposed_at is not null
    group by test_id, unit_id, exposed_at
)

select * from final
