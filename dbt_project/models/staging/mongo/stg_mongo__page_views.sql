with

clean as (
    {{ clean_rows('page_views', ref('base_mongo__page_views')) }}
)

select
    view_id,
    session_id,
    customer_id,
    page_url,
    page_title,
    page_type,
    page_sequence,
    time_on_page,
    scroll_depth,
    referrer_url,
    viewed_at,
    created_at
from clean
