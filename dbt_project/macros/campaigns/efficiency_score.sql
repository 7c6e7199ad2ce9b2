{#
The weighted mean of roas, conversion_rate and ctr (columns of the query), each as a share of its
target and at most 1, from 0 to 100; null where one of them is. Weights and targets are the
variable efficiency.
#}
{% macro efficiency_score() -%}
    {%- set terms = [] -%}
    {%- set weights = [] -%}
    {%- for ratio, setting in var('efficiency').items() -%}
        {%- do weights.append(setting['weight'] | string) -%}
        {%- do terms.append(
            setting['weight'] ~ ' * case when ' ~ ratio ~ ' >= ' ~ setting['target']
            ~ ' then 1 else ' ~ ratio ~ ' / ' ~ setting['target'] ~ ' end'
        ) -%}
    {%- endfor -%}
    round(100 * ({{ terms | join(' + ') }}) / ({{ weights | join(' + ') }}), 2)::numeric(5, 2)
{%- endmacro %}
