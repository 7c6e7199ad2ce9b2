{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'events'},
    pre_hook="{{ forget_touched_sessions('occurred_at') }}",
    post_hook="{{ note_built() }}"
) }}

with

events as (
    select * from {{ ref('stg_mongo__events') }}
    where
        occurred_at < {{ as_of_start() }}
        {{ in_touched_sessions() }}
),

-- Few agents make many events: each is looked at once.
agents as (
    select
        user_agent,
        user_agent ~* '{{ var("bot_agent_pattern") }}' as is_bot
    from events
    where user_agent is not null
    group by user_agent
),

judged as (
    select
        events.session_id,
        events.event_type,
        events.occurred_at,
        agents.is_bot
    from events
    left join agents on events.user_agent = agents.user_agent
),

aggregated as (
    select
        session_id,
        count(*) as events,
        count(*) filter (where event_type = 'click') as clicks,
        count(*) filter (where event_type = 'add_to_cart') as cart_add_events,
        count(*) filter (where event_type = 'checkout_start') as checkout_starts,
        count(*) filter (where event_type = 'purchase') as purchases,
        count(*) filter (where event_type = 'experiment_exposure') as experiment_exposures,
        coalesce(bool_or(is_bot), false) as has_bot_agent,
        min(occurred_at) filter (where event_type = 'checkout_start') as first_checkout_at,
        min(occurred_at) filter (where event_type = 'purchase') as first_purchase_at,
        max(occurred_at) as last_event_at
    from judged
    where session_id is not null
    group by session_id
)

select * from aggregated
