-- Requests for training before a model's day: its past predictions turned out worse than promised,
-- or what it learnt from has drifted. A request of a night holds for the nights after it, until one
-- of them has trained the model.
set local role amato_scientist;

create table ml.retraining_requests (
    model text not null,
    as_of date not null,
    reason text not null,
    primary key (model, as_of)
);

-- Past predictions are looked at by runs of their own.
alter table ml.model_runs drop constraint model_runs_kind_check;
alter table ml.model_runs add constraint model_runs_kind_check
check (kind in ('train', 'infer', 'watch'));

reset role;

-- The look back asks whether the gate found drift.
set local role amato_validator;
grant select on quality.table_figures to amato_scientist;
reset role;
