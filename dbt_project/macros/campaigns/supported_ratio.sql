{# A ratio to ten decimals, withheld (null) where too little supports it or there is no whole. #}
{% macro supported_ratio(part, whole, support, minimum) -%}
    case
        when {{ support }} >= {{ minimum }}
            then ({{ part }})::numeric / nullif({{ whole }}, 0)
    end::numeric(18, 10)
{%- endmacro %}
