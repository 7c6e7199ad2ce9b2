-- What dbt and the validation gate found, night by night.
set local role amato_transformer;

-- One row per dbt node and night; a retry overwrites the node's row.
create table quality.dbt_run_results (
    as_of date not null,
    layer text not null,
    node text not null,
    resource_type text not null,
    status text not null,
    seconds double precision,
    rows_affected bigint,
    failures bigint,
    message text,
    primary key (as_of, layer, node)
);

-- The validator owns its result table but may make no other: the right to create in the
-- schema is lent for as long as this statement takes.
grant usage, create on schema quality to amato_validator;
set local role amato_validator;

-- One row per expectation and night. success is null where the expectation could not be
-- evaluated; error then says why.
create table quality.validation_results (
    result_id bigint generated always as identity primary key,
    as_of date not null,
    suite text not null,
    table_name text not null,
    expectation text not null,
    column_name text,
    severity text not null,
    success boolean,
    error text,
    observed jsonb,
    unexpected_count bigint,
    rows_checked bigint
);
create index validation_results_as_of on quality.validation_results (as_of, suite);

set local role amato_transformer;
revoke create on schema quality from amato_validator;

reset role;
