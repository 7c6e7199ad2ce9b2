with

source as (
    select * from {{ source('postgres', 'campaigns') }}
    where {{ live_on_the_night() }}
),

renamed as (
    select
        row_id as source_row_id,
        nullif(trim(campaign_id), '') as campaign_id,
        nullif(trim(campaign_name), '') as campaign_name,
        nullif(trim(campaign_type), '') as campaign_type,
        nullif(trim(channel), '') as channel,
        nullif(trim(target_audience), '') as target_audience,
        start_date,
        end_date,
        budget,
        lower(nullif(trim(status), '')) as status,
        created_at,
        updated_at
    from source
),

ranked as (
    select
        *,
        row_number() over (
            partition by campaign_id
            order by updated_at desc nulls last, source_row_id desc
        ) as duplicate_rank
    from renamed
)

select
    campaign_id,
    campaign_name,
    campaign_type,
    channel,
    target_audience,
    start_date,
    end_date,
    budget,
    status,
    created_at,
    updated_at
from ranked
where duplicate_rank = 1 or campaign_id is null
