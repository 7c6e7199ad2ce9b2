-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# The rules of one table. #}
{% macro rules_of(table) -%}
    {{ return(quality_rules() | selectattr('table', 'equalto', table) | list) }}
{%- endmacro %}

{# Whether a row violates any rule of its table (null: it does not). #}
{% macro violates(table) -%}
    (
    {%- for rule in rules_of(table) %}
        {{ 'or ' if not loop.first }}({{ rule.fails }})
    {%- endfor %}
    )
{%- endmacro %}

{# Of the rows of `judged`, those that violate a rule of the table, with all that they violate. #}
{% macro quarantined(table, business_key) -%}
select
    source_key,
    {{ business_key }} as business_key,
    array_remove(array[
    {%- for rule in rules_of(table) %}
        case when {{ rule.fails }} then '{{ table }}.{{ rule.name }}' end{{ ',' if not loop.last }}
    {%- endfor %}
    ], null)::text[] as rules,
    case
    {%- for severity in ['critical', 'major'] %}
        {%- set ranked = rules_of(table) | selectattr('severity', 'equalto', severity) %}
        when ({{ ranked | map(attribute='fails') | join(') or (') }}) then '{{ severity }}'
    {%- endfor %}
        else 'minor'
    end as severity,
    raw_row,
    batch_id,
    {{ as_of() }} as as_of
from judged
where {{ violates(table) }}
{%- endmacro %}

{# All rules, one row each. #}
{% macro rules_as_rows() -%}
    {%- for rule in quality_rules() %}
    select
        '{{ rule.table }}.{{ rule.name }}'::text as rule_id,
        '{{ rule.table }}'::text as table_name,
        '{{ rule.severity }}'::text as severity,
        '{{ rule.description | replace("'", "''") }}'::text as description,
        '{{ rule.fails | replace("'", "''") }}'::text as condition
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
