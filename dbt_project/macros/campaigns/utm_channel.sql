{# The channel of the column utm_source by the variable channel_by_utm_source; null for others. #}
{% macro utm_channel() -%}
    {%- set cases = [] -%}
    {%- for source, channel in var('channel_by_utm_source').items() -%}
        {%- do cases.append("when '" ~ source ~ "' then '" ~ channel ~ "'") -%}
    {%- endfor -%}
    case lower(utm_source) {{ cases | join(' ') }} end
{%- endmacro %}
