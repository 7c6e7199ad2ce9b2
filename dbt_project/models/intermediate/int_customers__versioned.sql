with

versions as (
    select
        customer_id,
        source_row_id,
        valid_from,
        valid_to,
        is_sound,
        updated_at
    from {{ ref('stg_mysql__customer_versions') }}
    where customer_id is not null
),

boundaries as (
    select
        customer_id,
        valid_from as boundary
    from versions
    union
    select
        customer_id,
        valid_to as boundary
    from versions
    where valid_to is not null
),

intervals as (
    select
        customer_id,
        boundary as valid_from,
        lead(boundary) over (partition by customer_id order by boundary) as valid_to
    from boundaries
),

-- Between two boundaries nothing changes; of several rows for one customer the one that
-- cleanup would keep counts. An interval without any row is a deletion.
candidates as (
    select
        intervals.customer_id,
        intervals.valid_from,
        intervals.valid_to,
        versions.source_row_id,
        versions.valid_from as source_valid_from,
        versions.is_sound,
        row_number() over (
            partition by intervals.customer_id, intervals.valid_from
            order by versions.updated_at desc nulls last, versions.source_row_id desc
        ) as duplicate_rank
    from intervals
    inner join versions
        on
            intervals.customer_id = versions.customer_id
            and intervals.valid_from >= versions.valid_from
            and (intervals.valid_from < versions.valid_to or versions.valid_to is null)
),

winners as (
    select
        *,
        lag(valid_to) over customer_time as previous_valid_to,
        lag(source_row_id) over customer_time as previous_row_id,
        lag(source_valid_from) over customer_time as previous_valid_from
    from candidates
    -- The one that counts may be unsound: then nobody knows what held on those nights.
    where duplicate_rank = 1 and is_sound
    window customer_time as (partition by customer_id order by valid_from)
),

flagged as (
    select
        *,
        (
            previous_valid_to is distinct from valid_from
            or previous_row_id is distinct from source_row_id
            or previous_valid_from is distinct from source_valid_from
        ) as starts_version
    from winners
),

numbered as (
    select
        *,
        count(*) filter (where starts_version)
            over (partition by customer_id order by valid_from)
            as version_number
    from flagged
),

-- A duplicate that comes or goes without winning must not cut a version in two.
merged as (
    select
        customer_id,
        version_number,
        source_row_id,
        source_valid_from,
        min(valid_from) as valid_from,
        nullif(max(coalesce(valid_to, 'infinity')), 'infinity') as valid_to
    from numbered
    group by customer_id, version_number, source_row_id, source_valid_from
)

select * from merged
