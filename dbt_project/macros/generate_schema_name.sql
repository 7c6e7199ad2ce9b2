{# Schemas are the ones that the warehouse has: staging, intermediate, marts, quality. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
