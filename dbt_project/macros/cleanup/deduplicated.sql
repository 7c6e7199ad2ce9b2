-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# The live rows that lose to another one with the same key: see models/staging/quality. keys maps
   the raw key columns to their types and their names in the base model. #}
{% macro deduplicated(source, base, keys, changed_at) -%}
{%- set names = keys.values() | map('last') | list -%}
{%- set table = execute and config.get('meta', {}).get('touched_by') -%}
{%- set few = table and touched_states(table)[1] -%}
{%- set collation = ' collate "C"' if source.schema == 'raw_mongo' else '' -%}
with

{% if not few -%}
-- Few keys are repeated: only their rows are ranked. Of the rows that a night touched, all are.
repeated as (
    select
        {%- for column, (type, name) in keys.items() %}
        {{ tidy(fitted(column, type)) if type == 'text' else fitted(column, type) }} as {{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ source }}
    where {{ live_on_the_night() }}
    group by {% for _ in names %}{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}
    having count(*) > 1
),

{% endif -%}
ranked as (
    select
        base.*,
        first_value(base.source_key) over (
            partition by {% for name in names %}base.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
            order by base.{{ changed_at }} desc nulls last, base.source_key{{ collation }} desc
        ) as survivor_key
    from {{ base }} as base
    {%- if not few %}
    inner join repeated
        on {% for name in names %}base.{{ name }} = repeated.{{ name }}{{ ' and ' if not loop.last }}{% endfor %}
    {%- endif %}
    where base.is_live
        {%- if few -%}
        {%- for name in names %} and base.{{ name }} is not null{% endfor %}
        {%- endif %}
)

select
    source_key,
    survivor_key,
    concat_ws('|', {{ names | join(', ') }}) as business_key,
    raw_row,
    batch_id,
    {{ as_of() }} as as_of
from ranked
where source_key <> survivor_key
{%- endmacro %}

{# The rows of a base model that rules apply to: live, and not deduplicated. #}
{% macro survivors(table, base) -%}
    select * from {{ base }} as live
    where
        is_live
        and not exists (
            select from {{ ref('deduplicated_' ~ table) }} as duplicate
            where duplicate.source_key = live.source_key
        )
{%- endmacro %}

{# The survivors of a base model that violate no rule. #}
{% macro clean_rows(table, base) -%}
    {{ survivors(table, base) }}
        and not exists (
            select from {{ ref('quarantine_' ~ table) }} as quarantined
            where quarantined.source_key = live.source_key
        )
{%- endmacro %}
