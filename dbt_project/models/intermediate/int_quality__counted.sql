with

quarantined as (
    {{ all_quarantined() }}
),

violations as (
    select
        quarantined.source_system,
        quarantined.table_name,
        violated.rule_id,
        count(*) as row_count
    from quarantined
    cross join unnest(quarantined.rules) as violated (rule_id)
    group by quarantined.source_system, quarantined.table_name, violated.rule_id
),

reasons as (
    select
        source_system,
        table_name,
        jsonb_object_agg(rule_id, row_count) as rows_by_rule,
        (array_agg(rule_id order by row_count desc, rule_id collate "C"))[1] as top_rule
    from violations
    group by source_system, table_name
),

severities as (
    select
        source_system,
        table_name,
        count(*) filter (where severity = 'critical') as critical_rows,
        count(*) filter (where severity = 'major') as major_rows,
        count(*) filter (where severity = 'minor') as minor_rows
    from quarantined
    group by source_system, table_name
),

final as (
    select
        row_counts.*,
        coalesce(severities.critical_rows, 0) as critical_rows,
        coalesce(severities.major_rows, 0) as major_rows,
        coalesce(severities.minor_rows, 0) as minor_rows,
        coalesce(reasons.rows_by_rule, '{}') as rows_by_rule,
        reasons.top_rule
    from {{ ref('row_counts') }} as row_counts
    left join severities using (source_system, table_name)
    left join reasons using (source_system, table_name)
)

select * from final
