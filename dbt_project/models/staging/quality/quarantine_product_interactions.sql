{{ config(meta={'touched_by': 'product_interactions'}, post_hook="{{ note_built() }}") }}

with

survivors as (
    {{ survivors('product_interactions', ref('base_mongo__product_interactions')) }}
),

judged as (
    select
        survivors.*,
        sessions.is_quarantined as session_is_quarantined
    from survivors
    left join {{ ref('stg_mongo__session_keys') }} as sessions
        on survivors.session_id = sessions.session_id
)

{{ quarantined('product_interactions', 'interaction_id') }}
