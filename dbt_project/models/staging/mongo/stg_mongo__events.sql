with

clean as (
    {{ clean_rows('events', ref('base_mongo__events')) }}
)

select
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
