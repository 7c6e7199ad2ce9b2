{# A p-value as text for people, "p = 0.0312" or "p below 0.0001"; null for null. #}
{% macro p_value_said(value) -%}
    case
        when {{ value }} < 0.0001 then 'p below 0.0001'
        else 'p = ' || round(({{ value }})::numeric, 4)::text
    end
{%- endmacro %}
