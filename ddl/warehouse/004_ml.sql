-- Model versions, their runs and figures, and predictions.
set local role amato_scientist;

-- One row per trained model. artefact is a path relative to AMATO_HOME; data_fingerprint
-- says which rows it was trained on.
create table ml.model_versions (
    model text not null,
    version text not null,
    family text not null,
    as_of date not null,
    artefact text not null,
    sha256 text not null,
    is_champion boolean not null default false,
    params jsonb not null default '{}',
    features jsonb not null default '[]',
    data_fingerprint text not null,
    trained_rows bigint not null,
    primary key (model, version)
);
create unique index model_versions_champion on ml.model_versions (model) where is_champion;

-- One row per training or inference run. version is null where there is none, as in a run
-- that ended not_applicable.
create table ml.model_runs (
    run_id bigint generated always as identity primary key,
    model text not null,
    version text,
    as_of date not null,
    kind text not null check (kind in ('train', 'infer')),
    state text not null check (state in ('success', 'failed', 'not_applicable')),
    rows bigint not null default 0,
    seconds double precision not null,
    message text,
    finished_at timestamptz not null default clock_timestamp()
);
create index model_runs_as_of on ml.model_runs (as_of, model, kind);

create table ml.model_metrics (
    model text not null,
    version text not null,
    as_of date not null,
    metric text not null,
    value double precision,
    low double precision,
    high double precision,
    baseline text,
    baseline_value double precision,
    primary key (model, version, as_of, metric)
);

create table ml.kmeans_predictions (
    entity_type text not null,
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    customer_id text not null,
    kmeans_segment integer not null,
    kmeans_segment_type text not null,
    kmeans_confidence double precision not null,
    kmeans_avg_monetary double precision not null,
    kmeans_avg_frequency double precision not null,
    kmeans_segment_size bigint not null,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

reset role;
