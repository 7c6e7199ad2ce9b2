-- A verdict holds for the marts that it judged: a build that began later makes it void.
set local role amato_transformer;

-- One row per dbt run of a layer, written before it changes anything.
create table quality.builds (
    build_id bigint generated always as identity primary key,
    as_of date not null,
    layer text not null
);
create index builds_as_of on quality.builds (as_of, build_id);

-- The night's newest build when its marts were judged; null where it had none on record.
set local role amato_validator;
alter table quality.validation_results add column build_id bigint;

reset role;
