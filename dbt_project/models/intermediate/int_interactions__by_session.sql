{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'product_interactions'},
    pre_hook="{{ forget_touched_sessions('occurred_at') }}",
    post_hook="{{ note_built() }}"
) }}

with

interactions as (
    select * from {{ ref('stg_mongo__product_interactions') }}
    where
        occurred_at < {{ as_of_start() }}
        {{ in_touched_sessions() }}
),

aggregated as (
    select
        session_id,
        count(*) as interactions,
        count(*) filter (where interaction_type = 'view') as product_views,
        count(*) filter (where interaction_type = 'add_to_cart') as cart_adds,
        count(*) filter (where interaction_type = 'remove_from_cart') as cart_removals,
        count(*) filter (where interaction_type = 'wishlist') as wishlist_adds,
        count(*) filter (where interaction_type = 'review') as reviews,
        count(*) filter (where interaction_type = 'purchase') as products_purchased,
        min(occurred_at) filter (where interaction_type = 'view') as first_product_view_at,
        min(occurred_at) filter (where interaction_type = 'add_to_cart') as first_cart_add_at
    from interactions
    where session_id is not null
    group by session_id
)

select * from aggregated
