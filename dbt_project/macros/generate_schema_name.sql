{# Schemas are the ones that the warehouse has: staging, intermediate, marts, quality. A run for a
   past night (variable past_night) writes what keeps its nights where it always is, and all else
   into schemas of its own, so that the marts go on showing the newest night. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set schema = custom_schema_name | trim if custom_schema_name else target.schema -%}
    {%- if var('past_night', false) and not node.config.get('meta', {}).get('keeps_nights') -%}
        past_{{ schema }}
    {%- else -%}
        {{ schema }}
    {%- endif -%}
{%- endmacro %}
