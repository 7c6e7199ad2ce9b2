-- The indentation is Jinja's, not SQL's. -- noqa: disable=LT02
{# Which rows of an event table must be judged again, so that a night costs what it brought.

   Let L be the night that the table's cleanup was built for, and D the one that is being built.
   What becomes of a row depends on its live version, on the other live rows with its business key,
   on whether its session is known and sound, and on D. Loads of nights after L begin and end
   versions with the dates of these nights only. So these rows are enough:

   - rows with a version that began or ended after L, up to D;
   - all rows that were in quarantine or deduplicated: what was too early or an orphan may be sound;
   - the rows that were clean and share a business key with one of these;
   - the rows that were clean, and whose session is in quarantine now.

   Every live row of L is in one of the three tables of its cleanup, and has its business key
   there. session_id is the session that a clean row counted in until now. Where the tables are
   not all of one night before D, or any night up to L was loaded again, everything is judged. #}
{% macro touched_rows(table, key) -%}
{%- set since = cleanup_state(table) -%}
{%- if since %}
{%- set built = "date '" ~ since.as_of ~ "'" -%}
with

suspects as (
    select
        _id as source_key,
        {{ tidy(fitted(key, 'text')) }} as business_key
    from {{ source('mongo', table) }}
    where
        (_valid_from > {{ built }} and _valid_from <= {{ as_of() }})
        or (_valid_to > {{ built }} and _valid_to <= {{ as_of() }})
    union all
    select source_key, business_key from {{ relation_of('quarantine_' ~ table) }}
    union all
    select source_key, business_key from {{ relation_of('deduplicated_' ~ table) }}
),

orphaned as (
    select session_id from {{ ref('stg_mongo__session_keys') }}
    where is_quarantined
),

clean_before as (
    select source_key, session_id from {{ relation_of('stg_mongo__' ~ table) }}
    where
        {{ key }} in (select business_key from suspects where business_key is not null)
        or session_id in (select session_id from orphaned)
)

select source_key, session_id from clean_before
union all
select distinct source_key, null::text as session_id from suspects
where source_key not in (select source_key from clean_before)
{%- else %}
select ''::text as source_key, session_id from {{ ref('stg_mongo__session_keys') }}
where false
{%- endif %}
{%- endmacro %}

{# What the cleanup of an event table was built from, if a night can be added to it; else none. #}
{% macro cleanup_state(table) -%}
    {%- set digest = var('project_digest', '') -%}
    {%- if not execute or flags.FULL_REFRESH or not digest -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set state = built_state(relation_of('stg_mongo__' ~ table)) -%}
    {%- set usable = state and state.project == digest and state.as_of < as_of_value() | trim
        and state == built_state(relation_of('quarantine_' ~ table))
        and state == built_state(relation_of('deduplicated_' ~ table))
        and state.load == last_load(state.as_of) -%}
    {{ return(state if usable else none) }}
{%- endmacro %}

{# The hook by which stg_mongo__touched_<table> says what it is for. #}
{% macro note_touched(table) -%}
    {%- if execute -%}
        {%- set night = as_of_value() | trim -%}
        {{ note_state({
            'as_of': night,
            'load': last_load(night),
            'project': var('project_digest', ''),
            'since': cleanup_state(table),
        }) }}
    {%- endif -%}
{%- endmacro %}

{# What stg_mongo__touched_<table> says: the state that it leads to, and the state since which it
   knows what was touched; that is none where everything has to be built. #}
{% macro touched_states(table) -%}
    {%- if not execute -%}
        {{ return(({}, none)) }}
    {%- endif -%}
    {%- set said = built_state(relation_of('stg_mongo__touched_' ~ table)) -%}
    {%- set leads_to = {} -%}
    {%- for name in said if name != 'since' -%}
        {%- do leads_to.update({name: said[name]}) -%}
    {%- endfor -%}
    {%- set since = said.since if said.as_of == (as_of_value() | trim) else none -%}
    {{ return((leads_to, none if flags.FULL_REFRESH else since)) }}
{%- endmacro %}

{# The rows of an event table in raw that are to be judged: the touched ones, if these are enough,
   else all. Each is looked up by its key; PostgreSQL would rather read the whole table, which the
   offset keeps it from. #}
{% macro rows_to_judge(table) -%}
    {%- if touched_states(table)[1] -%}
    (
        select found.* from {{ relation_of('stg_mongo__touched_' ~ table) }} as touched
        cross join lateral (
            select * from {{ source('mongo', table) }} as version
            where version._id = touched.source_key
            offset 0
        ) as found
    )
    {%- else -%}
    {{ source('mongo', table) }}
    {%- endif -%}
{%- endmacro %}
