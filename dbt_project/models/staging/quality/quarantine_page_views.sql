{{ config(meta={'touched_by': 'page_views'}, post_hook="{{ note_built() }}") }}

with

survivors as (
    {{ survivors('page_views', ref('base_mongo__page_views')) }}
),

judged as (
    select
        survivors.*,
        sessions.is_quarantined as session_is_quarantined
    from survivors
    left join {{ ref('stg_mongo__session_keys') }} as sessions
        on survivors.session_id = sessions.session_id
)

{{ quarantined('page_views', 'view_id') }}
