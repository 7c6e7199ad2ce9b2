{{ config(meta={'touched_by': 'events'}, post_hook="{{ note_built() }}") }}

with

survivors as (
    {{ survivors('events', ref('base_mongo__events')) }}
),

judged as (
    select
        survivors.*,
        sessions.is_quarantined as session_is_quarantined
    from survivors
    left join {{ ref('stg_mongo__session_keys') }} as sessions
        on survivors.session_id = sessions.session_id
)

{{ quarantined('events', 'event_id') }}
