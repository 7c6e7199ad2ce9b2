{# The date that everything is as of, as a literal; raises when it is missing or is no date. #}
{% macro as_of() -%}
    date '{{ as_of_value() }}'
{%- endmacro %}

{# The first moment that is not counted any more: the as_of date at 00:00 UTC. #}
{% macro as_of_start() -%}
    timestamptz '{{ as_of_value() }} 00:00:00+00'
{%- endmacro %}

{% macro as_of_value() -%}
    {%- set value = var('as_of', '') | string -%}
    {%- set remedy = "pass a date, e.g. --vars '{as_of: 2026-01-31}'" -%}
    {%- if not value -%}
        {{ exceptions.raise_compiler_error("The variable as_of is missing: " ~ remedy) }}
    {%- endif -%}
    {%- set valid = modules.re.fullmatch('[12][0-9]{3}-(0[1-9]|1[0-2])-[0-9]{2}', value) -%}
    {%- if valid -%}
        {%- set year, month, day = value.split('-') | map('int') -%}
        {%- set next_month = modules.datetime.date(year + month // 12, month % 12 + 1, 1) -%}
        {%- set last_day = (next_month - modules.datetime.timedelta(days=1)).day -%}
        {%- set valid = 1 <= day <= last_day -%}
    {%- endif -%}
    {%- if not valid -%}
        {{ exceptions.raise_compiler_error(
            "The variable as_of is not a date (YYYY-MM-DD): '" ~ value ~ "'; " ~ remedy
        ) }}
    {%- endif -%}
    {{ value }}
{%- endmacro %}
