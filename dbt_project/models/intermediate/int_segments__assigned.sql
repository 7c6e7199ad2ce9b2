with

assignments as (
    select * from {{ ref('stg_mysql__customer_segment_mapping') }}
    where
        customer_id is not null
        and assigned_date < {{ as_of() }}
        and coalesce(created_at < {{ as_of_start() }}, true)
),

segments as (
    select * from {{ ref('stg_mysql__customer_segments') }}
),

latest as (
    select distinct on (customer_id) *
    from assignments
    order by
        customer_id asc,
        assigned_date desc,
        created_at desc nulls last,
        assignment_key desc
),

final as (
    select
        latest.customer_id,
        latest.segment_id,
        segments.segment_name,
        latest.score,
        latest.confidence,
        latest.assigned_date
    from latest
    left join segments on latest.segment_id = segments.segment_id
)

select * from final
