-- Load state: nights, what each load did, how far each table was read, what was rejected.
set local role amato_loader;

-- Numbers every attempt at a night, so that a load can tell whether it was overtaken.
create sequence elt.batch_ids as bigint;

-- One row per night. bounds holds each table's upper bound, taken before the first read.
create table elt.nights (
    as_of date primary key,
    state text not null default 'open',
    batch_id bigint not null,
    bounds jsonb not null default '{}',
    opened_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz
);

-- One row per load of one table. raw_live counts the live versions after it.
create table elt.load_log (
    log_id bigint generated always as identity primary key,
    batch_id bigint not null,
    as_of date not null,
    source_system text not null,
    source_table text not null,
    read bigint not null,
    inserted bigint not null,
    updated bigint not null,
    deleted bigint not null,
    unchanged bigint not null,
    rejected bigint not null,
    bytes bigint not null,
    seconds double precision not null,
    raw_live bigint not null,
    finished_at timestamptz not null default clock_timestamp()
);
create index load_log_as_of on elt.load_log (as_of, source_system, source_table);

-- One row per table: the last cursor value read, and the last key read at that value.
create table elt.watermarks (
    source_system text not null,
    source_table text not null,
    cursor_value timestamptz,
    key_value text,
    as_of date not null,
    batch_id bigint not null,
    primary key (source_system, source_table)
);

-- Rows that no raw column can hold, as they were read. first_as_of is the night that met
-- the row first; resolved_at is the as_of of the night that found it mended or gone.
create table elt.rejected_rows (
    rejected_id bigint generated always as identity primary key,
    source_system text not null,
    source_table text not null,
    source_key text not null,
    reason text not null,
    payload bytea,
    first_as_of date not null,
    batch_id bigint,
    resolved_at date
);
create unique index rejected_rows_open
on elt.rejected_rows (source_system, source_table, source_key)
where resolved_at is null;

reset role;
