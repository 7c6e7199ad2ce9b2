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
-- judged (null: none was on record), and for the findings that stopped the night then; the run's
-- own figures say who and when. A run publishes a night once.
create table quality.overrides (
    override_id bigint generated always as identity primary key,
    as_of date not null,
    build_id bigint,
    findings text[] not null,
    reason text not null check (length(trim(reason)) >= 10),
    published_by text not null,
    dag_id text not null,
    run_id text not null,
    run_at timestamptz not null,
    unique (as_of, dag_id, run_id)
);

-- One row per night. published: models and reports may use it; mark: what everything made from it
-- must say. verdict is null, and the night not published, where its tables are not judged as they
-- stand: a judgement is going on or broke off, or dbt has begun to build the night again since.
create table quality.verdicts (
    as_of date primary key,
    build_id bigint,
    verdict text check (
        verdict in ('passed', 'passed_with_warnings', 'failed', 'error')
    ),
    published boolean not null,
    score numeric(5, 2),
    finding text,
    mark text,
    check (verdict is not null or not published)
);

-- Takes back what was said of a night. Who builds may do that, and nothing else with verdicts.
create function quality.void_verdict(night date) returns void
language sql security definer set search_path = '' as $$
    insert into quality.verdicts (as_of, published) values (night, false)
    on conflict (as_of) do update set
        build_id = null, verdict = null, published = false, score = null, finding = null, mark = null
$$;
revoke execute on function quality.void_verdict(date) from public;
grant execute on function quality.void_verdict(date) to amato_transformer;

-- The newest night that was opened or judged: whether it may be used, and what was found, or why
-- nothing is known.
create view quality.newest_night as
select
    newest.as_of,
    coalesce(verdicts.published, false) as published,
    case
        when verdicts.verdict is null then 'the gate has not judged it as it stands'
        else verdicts.finding
    end as finding
from (
    select max(nights.as_of) as as_of
    from (
        select as_of from elt.nights
        union all
        select as_of from quality.verdicts
    ) as nights
) as newest
left join quality.verdicts on newest.as_of = verdicts.as_of
where newest.as_of is not null;

-- The scientist reads how a night was judged, and nothing else in this schema.
set local role amato_transformer;
revoke create on schema quality from amato_validator;
grant usage on schema quality to amato_scientist;
set local role amato_validator;
grant select on quality.verdicts, quality.newest_night to amato_scientist;

-- Which night's predictions are in force. They are stale where they are of an earlier night than
-- the newest, or that one is not published: they stay where they are until one is, and is scored.
set local role amato_scientist;
create view ml.predictions_standing as
with scored as (
    select
        model,
        max(as_of) as predictions_as_of
    from ml.model_runs
    where kind = 'infer' and state = 'success'
    group by model
)

select
    scored.model,
    scored.predictions_as_of,
    newest.as_of as newest_night,
    coalesce(not newest.published or scored.predictions_as_of < newest.as_of, false) as is_stale,
    case
        when not newest.published then newest.finding
        when scored.predictions_as_of < newest.as_of then 'it is not scored yet'
    end as stale_because
from scored
left join quality.newest_night as newest on true;
grant select on ml.predictions_standing to amato_reader, amato_validator;

reset role;
