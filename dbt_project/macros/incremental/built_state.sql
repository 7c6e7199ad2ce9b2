-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# What a table was built from, as its comment says: the night, the last load up to that night, and
   the project's digest. The comment is written in the transaction that fills the table, and goes
   with it. Empty where the table says nothing. #}
{% macro built_state(relation) -%}
    {%- if not execute -%}
        {{ return({}) }}
    {%- endif -%}
    {%- set name = relation.include(database=false) -%}
    {%- set said = run_query(
        "select obj_description(to_regclass('" ~ name ~ "'), 'pg_class')"
    ).columns[0].values()[0] -%}
    {{ return(fromjson(said or '{}', {})) }}
{%- endmacro %}

{# The number of the last load of the nights up to a date (a text): it changes whenever raw, as it
   was known on that night, may have changed. #}
{% macro last_load(night) -%}
    {{ return(run_query(
        "select coalesce(max(log_id), 0)::bigint from elt.load_log where as_of <= date '" ~ night ~ "'"
    ).columns[0].values()[0] | int) }}
{%- endmacro %}

{# The hook that writes the comment. #}
{% macro note_state(state) -%}
    comment on table {{ this }} is '{{ tojson(state, sort_keys=true) }}'
{%- endmacro %}

{# The relation of a model of this project, without depending on it. #}
{% macro relation_of(name) -%}
    {%- set node = graph.nodes['model.' ~ project_name ~ '.' ~ name] -%}
    {{ return(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias
    )) }}
{%- endmacro %}
