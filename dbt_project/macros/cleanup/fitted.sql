-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# One raw column; where it is null, what _extra holds for it, if that has a certain meaning. #}
{% macro fitted(column, type) -%}
    coalesce({{ column }}, case when _extra ? '{{ column }}' then {{ repaired(column, type) }} end)
{%- endmacro %}

{# What _extra holds for a column, as the column's type; null where its meaning is not certain. #}
{% macro repaired(column, type) -%}
    {%- set held = "_extra -> '" ~ column ~ "'" -%}
    {%- set largest = {
        'smallint': '32767', 'integer': '2147483647', 'bigint': '9223372036854775807',
    } -%}
    {%- if type == 'text' -%}
        staging.extra_text({{ held }})
    {%- elif type == 'jsonb' -%}
        staging.extra_json({{ held }})
    {%- elif type == 'timestamptz' -%}
        staging.extra_time({{ held }})
    {%- elif type == 'date' -%}
        (staging.extra_time({{ held }}) at time zone 'UTC')::date
    {%- elif type in largest -%}
        staging.extra_number({{ held }}, 0, {{ largest[type] }})::{{ type }}
    {%- else -%}
        {%- set precision, scale = modules.re.findall('[0-9]+', type) | map('int') -%}
        {%- set most = '9' * (precision - scale) ~ '.' ~ '9' * scale -%}
        staging.extra_number({{ held }}, {{ scale }}, {{ most }})::{{ type }}
    {%- endif -%}
{%- endmacro %}

{# All columns of a raw table, fitted, and unfit_columns: those whose value in _extra is lost. #}
{% macro fit(columns) -%}
    {% for column, type in columns.items() -%}
        {{ fitted(column, type) }} as {{ column }},
    {% endfor -%}
    case
        when _extra is not null then nullif(array_remove(array[
            {%- for column, type in columns.items() %}
                case
                    when _extra ? '{{ column }}' and {{ fitted(column, type) }} is null
                        then '{{ column }}'
                end
                {{- ',' if not loop.last }}
            {%- endfor %}
        ], null), '{}')
    end as unfit_columns
{%- endmacro %}

{# A text without the white space around it; null where nothing is left. #}
{% macro tidy(text) -%}
    nullif(btrim({{ text }}, e' \t\r\n'), '')
{%- endmacro %}
