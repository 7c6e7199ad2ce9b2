-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# The hook that makes meta primary_key the table's key, unless it has one already, as tables have
   that nights are added to. So PostgreSQL holds every table to its key as it is written; that of a
   mart is in its contract. #}
{% macro hold_key() -%}
    {%- set key = config.get('meta', {}).get('primary_key') if execute -%}
    {%- if key -%}
        do $$ begin
            if not exists (
                select from pg_index where indrelid = '{{ this }}'::regclass and indisprimary
            ) then
                alter table {{ this }} add primary key ({{ key | join(', ') }});
            end if;
        end $$
    {%- endif -%}
{%- endmacro %}
