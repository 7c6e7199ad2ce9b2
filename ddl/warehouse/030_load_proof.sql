-- What each load proved, and how the sources differ from their contracts.
set local role amato_loader;

-- window_start is null where all of a table was read. late counts the rows that the window
-- did not hold and reconciliation read by key. The checksums are the exclusive or, in
-- hexadecimal, of the hashes of all (key, cursor) pairs: source_* as the source counts them
-- below the night's bound, without rejected rows, raw_* as the live rows have them.
-- source_columns is the SHA-256 of the source's columns as it declares them, null for MongoDB:
-- all of a table is read in the night that finds another one.
alter table elt.load_log
add column held bigint not null default 0,
add column late bigint not null default 0,
add column window_start timestamptz,
add column window_end timestamptz,
add column source_rows bigint,
add column source_checksum text,
add column raw_rows bigint,
add column raw_checksum text,
add column differences text[] not null default '{}',
add column source_columns text;

-- One row per difference between a source table and its contract. first_as_of is the night
-- that met it first, last_as_of the last one that did.
create table elt.contract_differences (
    source_system text not null,
    source_table text not null,
    column_name text not null,
    difference text not null,
    detail text not null,
    first_as_of date not null,
    last_as_of date not null,
    primary key (source_system, source_table, column_name, difference, detail)
);

reset role;
