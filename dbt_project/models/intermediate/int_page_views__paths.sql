{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'page_views'},
    pre_hook="{{ forget_touched_sessions('viewed_at') }}",
    post_hook="{{ note_built() }}"
) }}

with

page_views as (
    select
        session_id,
        page_type,
        page_sequence,
        viewed_at,
        view_id
    from {{ ref('stg_mongo__page_views') }}
    where
        viewed_at < {{ as_of_start() }}
        and session_id is not null
        and page_type is not null
        {{ in_touched_sessions() }}
),

sessions as (
    select
        session_id,
        array_agg(
            page_type order by viewed_at, page_sequence, view_id collate "C"
        ) as page_types
    from page_views
    group by session_id
),

pages as (
    select
        sessions.session_id,
        pages.page_number,
        pages.page_type,
        sessions.page_types[pages.page_number - 1] as previous_page_type
    from sessions
    cross join unnest(sessions.page_types) with ordinality as pages (page_type, page_number)
),

-- Pages of one type in a row are one step.
steps as (
    select
        session_id,
        array_agg(page_type order by page_number) as page_types
    from pages
    where page_type is distinct from previous_page_type
    group by session_id
),

final as (
    select
        session_id,
        cardinality(page_types)::bigint as steps,
        array_to_string(page_types[:{{ var('path_max_steps') }}], ' > ')
        || case
            when cardinality(page_types) > {{ var('path_max_steps') }} then ' > ...' else ''
        end as path
    from steps
)

select * from final
