{# Each number is counted from its own table, so that the sum of them can prove something. #}
with

counted as (
    {{ row_counts() }}
),

rejected as (
    select
        source_system,
        source_table as table_name,
        count(*) as rejected_rows
    from {{ source('elt', 'rejected_rows') }}
    where
        first_as_of <= {{ as_of() }}
        and (resolved_at is null or resolved_at > {{ as_of() }})
    group by source_system, source_table
),

final as (
    select
        counted.*,
        coalesce(rejected.rejected_rows, 0) as rejected_rows
    from counted
    left join rejected using (source_system, table_name)
)

select * from final
