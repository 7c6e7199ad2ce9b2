{# A percentage as text for people, "6.7 %"; null for null. #}
{% macro percent(value, decimals=1) -%}
    round(({{ value }})::numeric, {{ decimals }})::text || ' %'
{%- endmacro %}
