with

clean as (
    {{ clean_rows('sessions', ref('base_mongo__sessions')) }}
)

select
    session_id,
    customer_id,
    anonymous_id,
    session_start,
    session_end,
    duration_seconds,
    device_type,
    browser,
    os,
    ip_address,
    country,
    referrer,
    utm_source,
    utm_medium,
    utm_campaign,
    landing_page,
    updated_at
from clean
