{# A score of 0 to 100: for each component its weight, times how much of full_at was reached (at
   most all of it), to six decimals. `components` maps columns to {weight, full_at}; unknown counts
   as nothing. #}
{% macro saturating_score(components) -%}
    round(100 * (
        0
        {% for column, rule in components.items() %}
            + {{ rule.weight }} * least(coalesce({{ column }}, 0)::numeric / {{ rule.full_at }}, 1)
        {% endfor %}
    ), 6)
{%- endmacro %}

{# A share that is 0 where there is nothing to take it of, to six decimals. #}
{% macro share(part, whole) -%}
    coalesce(round(({{ part }})::numeric / nullif({{ whole }}, 0), 6), 0)
{%- endmacro %}
