-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# The source tables that cleanup accounts for: their system and their physical key. #}
{% macro cleaned_tables() -%}
{{ return({
    'customers': ('mysql', 'row_id'),
    'customer_demographics': ('mysql', 'row_id'),
    'transactions': ('mysql', 'row_id'),
    'transaction_items': ('mysql', 'row_id'),
    'customer_segments': ('mysql', 'row_id'),
    'customer_segment_mapping': ('mysql', 'row_id'),
    'campaigns': ('postgres', 'row_id'),
    'campaign_performance': ('postgres', 'row_id'),
    'ab_tests': ('postgres', 'row_id'),
    'ab_test_results': ('postgres', 'row_id'),
    'sessions': ('mongo', '_id'),
    'page_views': ('mongo', '_id'),
    'events': ('mongo', '_id'),
    'product_interactions': ('mongo', '_id'),
    'search_queries': ('mongo', '_id'),
}) }}
{%- endmacro %}

{# How many rows each table has, and what became of them. #}
{% macro row_counts() -%}
    {%- for table, (system, key) in cleaned_tables().items() %}
    select
        '{{ system }}'::text as source_system,
        '{{ table }}'::text as table_name,
        (
            select count(*) from {{ source(system, table) }}
            where {{ live_on_the_night() }}
        ) as live_rows,
        (
            select count(distinct closed.{{ key }}) from {{ source(system, table) }} as closed
            where
                closed._valid_to <= {{ as_of() }}
                and not exists (
                    select from {{ source(system, table) }} as live
                    where live.{{ key }} = closed.{{ key }} and {{ live_on_the_night() }}
                )
        ) as deleted_rows,
        (select count(*) from {{ ref('stg_' ~ system ~ '__' ~ table) }}) as clean_rows,
        (select count(*) from {{ ref('quarantine_' ~ table) }}) as quarantined_rows,
        (select count(*) from {{ ref('deduplicated_' ~ table) }}) as deduplicated_rows
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# The rows of all quarantines. #}
{% macro all_quarantined() -%}
    {%- for table, (system, _) in cleaned_tables().items() %}
    select
        '{{ system }}'::text as source_system,
        '{{ table }}'::text as table_name,
        rules,
        severity
    from {{ ref('quarantine_' ~ table) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
