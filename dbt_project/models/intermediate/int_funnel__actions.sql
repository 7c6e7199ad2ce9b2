{{ config(post_hook='analyze {{ this }}') }}

with

sessions as (
    select * from {{ ref('int_sessions__enriched') }}
    where not is_bot
),

interactions as (
    select
        session_id,
        occurred_at,
        case interaction_type when 'view' then 2 when 'add_to_cart' then 3 end as step_number
    from {{ ref('stg_mongo__product_interactions') }}
    where occurred_at < {{ as_of_start() }} and interaction_type in ('view', 'add_to_cart')
),

events as (
    select
        session_id,
        occurred_at,
        case event_type when 'checkout_start' then 4 when 'purchase' then 5 end as step_number
    from {{ ref('stg_mongo__events') }}
    where occurred_at < {{ as_of_start() }} and event_type in ('checkout_start', 'purchase')
),

actions as (
    select * from interactions
    union all
    select * from events
),

final as (
    select
        sessions.visitor_id,
        actions.step_number,
        actions.occurred_at
    from actions
    inner join sessions on actions.session_id = sessions.session_id
)

select * from final
