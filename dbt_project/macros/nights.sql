{# Deletes the rows of this night from a table that keeps every night, in the transaction that
   writes them anew: also a night that has no rows any more leaves none behind. #}
{% macro forget_night() -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where as_of = {{ as_of() }}
    {%- endif -%}
{%- endmacro %}
