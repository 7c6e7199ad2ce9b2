with

source as (
    select * from {{ source('mongo', 'sessions') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        _id as source_document_id,
        nullif(trim(session_id), '') as session_id,
        nullif(trim(customer_id), '') as customer_id,
        nullif(trim(anonymous_id), '') as anonymous_id,
        session_start,
        session_end,
        duration_seconds,
        lower(nullif(trim(device_type), '')) as device_type,
        nullif(trim(browser), '') as browser,
        nullif(trim(os), '') as os,
        nullif(trim(ip_address), '') as ip_address,
        nullif(trim(country), '') as country,
        nullif(trim(referrer), '') as referrer,
        nullif(trim(utm ->> 'source'), '') as utm_source,
        nullif(trim(utm ->> 'medium'), '') as utm_medium,
        nullif(trim(utm ->> 'campaign'), '') as utm_campaign,
        nullif(trim(landing_page), '') as landing_page,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by session_id
            order by updated_at desc nulls last, source_document_id collate "C" desc
        ) as duplicate_rank
    from renamed
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
from ranked
where duplicate_rank = 1 or session_id is null
