{{ config(
    materialized='incremental',
    unique_key=['as_of', 'source_system', 'table_name'],
    incremental_strategy='delete+insert',
    on_schema_change='append_new_columns',
    full_refresh=false,
    meta={'keeps_nights': true}
) }}

{% set weights = var('quality_weights') %}
{% set bounds = var('quality_score_bounds') %}

with

counted as (
    select * from {{ ref('int_quality__counted') }}
),

weighed as (
    select
        *,
        nullif(live_rows, 0) as judged_rows,
        nullif(live_rows + rejected_rows, 0) as read_rows,
        (critical_rows + rejected_rows) * {{ weights.critical }}
        + major_rows * {{ weights.major }}
        + minor_rows * {{ weights.minor }}
        + deduplicated_rows * {{ weights.deduplicated }} as weight
    from counted
),

scored as (
    select
        *,
        round(clean_rows::numeric / judged_rows, 6) as pass_rate,
        round(100 * (1 - weight::numeric / read_rows), 2) as score
    from weighed
),

final as (
    select
        {{ as_of() }} as as_of,
        source_system,
        table_name,
        live_rows + deleted_rows as rows_in,
        clean_rows as clean,
        quarantined_rows as quarantined,
        rows_by_rule as quarantined_by_rule,
        deduplicated_rows as deduplicated,
        deleted_rows as deleted,
        rejected_rows as rejected,
        pass_rate::numeric(7, 6) as pass_rate,
        score::numeric(5, 2) as score,
        case
            when score is null then 'No rows'
            when weight = 0 then 'No action'
            when score >= {{ bounds.watch }} then 'Watch'
            when score >= {{ bounds.fix }} then 'Fix at the source'
            else 'Stop and investigate'
        end as recommended_action,
        top_rule
    from scored
)

select * from final
