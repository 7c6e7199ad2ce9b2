{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'touched_by': 'events'},
    pre_hook="{{ forget_touched() }}",
    post_hook="{{ note_built() }}"
) }}

with

clean as (
    {{ clean_rows('events', ref('base_mongo__events')) }}
)

select
    source_key,
    event_id,
    session_id,
    customer_id,
    event_type,
    event_data,
    occurred_at,
    page_url,
    user_agent,
    created_at
from clean
