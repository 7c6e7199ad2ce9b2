-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# dbt's own macro, which decides whether an incremental model is built whole: so also is one that
   hangs on the rows of an event table (meta touched_by), unless it is in the state since which
   these are known, or in the one that they lead to. #}
{% macro should_full_refresh() -%}
    {%- set configured = config.get('full_refresh') -%}
    {%- set table = config.get('meta', {}).get('touched_by') -%}
    {%- if configured is not none -%}
        {{ return(configured) }}
    {%- elif flags.FULL_REFRESH or not table or not execute -%}
        {{ return(flags.FULL_REFRESH) }}
    {%- endif -%}
    {%- set leads_to, since = touched_states(table) -%}
    {{ return(not since or built_state(this) not in [since, leads_to]) }}
{%- endmacro %}

{# The hook that writes what a model with meta touched_by was built from. #}
{% macro note_built() -%}
    {{ note_state(touched_states(config.get('meta').touched_by)[0]) }}
{%- endmacro %}

{# Deletes the touched rows from a staging table, in the transaction that writes them anew. #}
{% macro forget_touched() -%}
    {%- set table = config.get('meta').touched_by -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where source_key in (select source_key from {{ relation_of('stg_mongo__touched_' ~ table) }})
    {%- elif touched_states(table)[1] -%}
        {{ exceptions.raise_compiler_error(
            this ~ " is not the table that the touched rows belong to: build with --full-refresh"
        ) }}
    {%- endif -%}
{%- endmacro %}

{# Deletes the sessions from a table by session whose events were touched, and keeps their ids for
   the query that writes them anew: those that lost a row, those that have one that was written,
   and those with a row that was at or after the bound until now. #}
{% macro forget_touched_sessions(moment) -%}
    {%- if is_incremental() -%}
        {%- set table = config.get('meta').touched_by -%}
        {%- set touched = relation_of('stg_mongo__touched_' ~ table) -%}
        create temp table touched_sessions on commit drop as
        select session_id from {{ touched }}
        where session_id is not null
        union
        select session_id from {{ relation_of('stg_mongo__' ~ table) }}
        where
            source_key in (select source_key from {{ touched }})
            or {{ moment }} >= timestamptz '{{ touched_states(table)[1].as_of }} 00:00:00+00';
        analyze touched_sessions;
        delete from {{ this }}
        where session_id in (select session_id from touched_sessions)
    {%- endif -%}
{%- endmacro %}

{# Restricts a query on events to the sessions that are written anew. A unit test has no table. #}
{% macro in_touched_sessions() -%}
    {%- if model.resource_type == 'model' and is_incremental() -%}
        and session_id in (select session_id from touched_sessions)
    {%- endif -%}
{%- endmacro %}
