-- What the gate measures, decides and keeps, night by night; and who published a stopped one.
set local role amato_transformer;
grant usage, create on schema quality to amato_validator;
set local role amato_validator;

-- The night that this session judges: set amato.as_of, as the gate's connections do.
create function quality.night() returns date
language sql stable as $$
    select current_setting('amato.as_of')::date
$$;

-- A result is one of passed, failed, error (it could not be evaluated) and not_applicable. note
-- says what a check learnt from, or why it does not apply.
alter table quality.validation_results
add column note text,
add column state text generated always as (
    case
        when error is not null then 'error'
        when success then 'passed'
        when not success then 'failed'
        else 'not_applicable'
    end
) stored;

-- One row per figure of a table: rows, age_hours, nulls, mean, stddev, share, psi. usual, low and
-- high say what the nights from learnt_from to learnt_until lead to expect; they are null where
-- there are too few of these (nights), and where a figure is not judged.
create table quality.table_figures (
    as_of date not null,
    table_name text not null,
    figure text not null,
    column_name text not null default '',
    value double precision,
    usual double precision,
    low double precision,
    high double precision,
    nights integer not null default 0,
    learnt_from date,
    learnt_until date,
    primary key (table_name, figure, column_name, as_of)
);
create index table_figures_as_of on quality.table_figures (as_of);

-- The tenths of a model's features on a night: nights to come are compared with them.
create table quality.feature_bins (
    as_of date not null,
    table_name text not null,
    column_name text not null,
    edges double precision[] not null,
    counts bigint[] not null,
    primary key (table_name, column_name, as_of)
);

-- Every row that failed an expectation: its key, or for a check of sums the row that says what
-- differs. As json, which keeps the columns in their order.
create table quality.failing_rows (
    as_of date not null,
    suite text not null,
    table_name text not null,
    expectation text not null,
    row_key json not null
);
create index failing_rows_as_of on quality.failing_rows (as_of, suite, expectation);

-- One row per table and night, and one for all of them together (table_name is null).
create table quality.table_scores (
    as_of date not null,
    table_name text,
    score numeric(5, 2) not null,
    rows_checked bigint,
    expectations integer not null,
    failed integer not null,
    unique nulls not distinct (as_of, table_name)
);

-- A stopped night that somebody has published all the same. It holds for the build that was
-- judged (null: none was on record); the run's own figures say who and when.
create table quality.overrides (
    as_of date not null,
    build_id bigint,
    reason text not null check (length(trim(reason)) >= 10),
    published_by text not null,
    dag_id text not null,
    run_id text not null,
    run_at timestamptz not null,
    unique nulls not distinct (as_of, build_id)
);

-- One row per night that was judged. published: models and reports may use it; mark: what
-- everything made from it must say.
create table quality.verdicts (
    as_of date primary key,
    build_id bigint,
    verdict text not null check (
        verdict in ('passed', 'passed_with_warnings', 'failed', 'error')
    ),
    published boolean not null,
    score numeric(5, 2),
    finding text,
    mark text
);

-- The scientist reads how a night was judged, and nothing else in this schema.
set local role amato_transformer;
revoke create on schema quality from amato_validator;
grant usage on schema quality to amato_scientist;
set local role amato_validator;
grant select on quality.verdicts to amato_scientist;

-- Which night's predictions are in force, and whether a newer night was judged since: stale ones
-- stay where they are until a night is published again.
set local role amato_scientist;
create view ml.predictions_standing as
with scored as (
    select
        model,
        max(as_of) as predictions_as_of
    from ml.model_runs
    where kind = 'infer' and state = 'success'
    group by model
),

newest as (
    select
        as_of,
        published,
        finding
    from quality.verdicts
    order by as_of desc
    limit 1
)

select
    scored.model,
    scored.predictions_as_of,
    newest.as_of as newest_night,
    coalesce(scored.predictions_as_of < newest.as_of, false) as is_stale,
    case
        when scored.predictions_as_of < newest.as_of and not newest.published
            then newest.finding
    end as stale_because
from scored
left join newest on true;
grant select on ml.predictions_standing to amato_reader, amato_validator;

reset role;
