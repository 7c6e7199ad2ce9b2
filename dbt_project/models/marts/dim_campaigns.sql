with

campaigns as (
    select * from {{ ref('stg_postgres__campaigns') }}
    where campaign_id is not null
),

-- A campaign runs from its first day to its last, both inclusive; as_of is the first day that is
-- not over.
final as (
    select
        campaign_id,
        campaign_name,
        campaign_type,
        channel,
        target_audience,
        start_date,
        end_date,
        end_date - start_date + 1 as planned_days,
        case
            when start_date is not null
                then greatest(
                    least({{ as_of() }}, coalesce(end_date + 1, {{ as_of() }})) - start_date, 0
                )
        end as days_run,
        case
            when start_date is null or start_date >= {{ as_of() }} then 'planned'
            when end_date < {{ as_of() }} then 'ended'
            else 'running'
        end as phase,
        budget::numeric(18, 2) as budget,
        status,
        created_at,
        updated_at
    from campaigns
)

select * from final
