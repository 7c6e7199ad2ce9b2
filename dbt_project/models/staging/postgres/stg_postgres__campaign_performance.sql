with

source as (
    select * from {{ source('postgres', 'campaign_performance') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(performance_id), '') as performance_id,
        nullif(trim(campaign_id), '') as campaign_id,
        date as performance_date,
        impressions,
        clicks,
        conversions,
        spend,
        revenue,
        ctr,
        conversion_rate,
        created_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by performance_id
            order by
                performance_date desc nulls last,
                created_at desc nulls last,
                source_row_id desc
        ) as duplicate_rank
    from renamed
)

select
    performance_id,
    campaign_id,
    performance_date,
    impressions,
    clicks,
    conversions,
    spend,
    revenue,
    ctr,
    conversion_rate,
    created_at
from ranked
where duplicate_rank = 1 or performance_id is null
