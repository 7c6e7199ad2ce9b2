{%- set first_share = var('attribution_first_share') -%}
{%- set last_share = var('attribution_last_share') -%}
{%- set models = ['first_touch', 'last_touch', 'linear', 'position_based', 'time_decay'] -%}
with

touches as (
    select * from {{ ref('int_attribution__touches') }}
),

-- Weights are whole or short numbers, so that their shares are exact; only their ratio counts.
weighted as (
    select
        order_id,
        touch_number,
        (touch_number = touches)::integer as is_last,
        customer_id,
        order_date,
        revenue,
        session_id,
        touched_at,
        channel,
        campaign_id,
        (touch_number = 1)::integer as weight_first_touch,
        (touch_number = touches)::integer as weight_last_touch,
        1 as weight_linear,
        case
            when touches = 1 then 1
            when touch_number = 1 then {{ first_share }} * greatest(touches - 2, 1)
            when touch_number = touches then {{ last_share }} * greatest(touches - 2, 1)
            else 1 - {{ first_share }} - {{ last_share }}
        end as weight_position_based,
        case
            when session_id is null then 1
            else round(
                (
                    2 ^ (
                        -extract(epoch from last_touched_at - touched_at)::double precision
                        / (86400 * {{ var('attribution_half_life_days') }})
                    )
                )::numeric, 12
            )
        end as weight_time_decay
    from touches
),

-- Whole cents, towards zero
floored as (
    select
        {% for model in models -%}
            coalesce(trunc(
                revenue * weight_{{ model }}
                / nullif(sum(weight_{{ model }}) over (partition by order_id), 0), 2
            ), 0) as floored_{{ model }},
        {% endfor -%}
        *
    from weighted
),

-- The cents that are left go to the last session before the order.
credited as (
    select
        order_id,
        touch_number,
        customer_id,
        order_date,
        session_id,
        touched_at,
        channel,
        campaign_id,
        {% for model in models -%}
            (
                floored_{{ model }} + is_last * (
                    revenue - sum(floored_{{ model }}) over (partition by order_id)
                )
            )::numeric(18, 2) as revenue_{{ model }},
        {% endfor -%}
        (order_date at time zone 'UTC')::date as order_day,
        is_last = 1 as is_last_touch
    from floored
)

select * from credited
