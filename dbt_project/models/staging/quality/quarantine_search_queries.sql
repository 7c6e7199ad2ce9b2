{{ config(meta={'touched_by': 'search_queries'}, post_hook="{{ note_built() }}") }}

with

survivors as (
    {{ survivors('search_queries', ref('base_mongo__search_queries')) }}
),

judged as (
    select
        survivors.*,
        sessions.is_quarantined as session_is_quarantined
    from survivors
    left join {{ ref('stg_mongo__session_keys') }} as sessions
        on survivors.session_id = sessions.session_id
)

{{ quarantined('search_queries', 'query_id') }}
