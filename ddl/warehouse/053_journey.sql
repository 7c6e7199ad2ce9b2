-- Predictions of the family journey_simulation.
set local role amato_scientist;

create table ml.stage_predictions (
    entity_type text not null,
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    customer_id text not null,
    predicted_journey_stage integer not null check (predicted_journey_stage between 0 and 4),
    predicted_stage_name text not null,
    stage_confidence double precision not null check (stage_confidence between 0 and 1),
    stage_characteristics text not null,
    next_stage integer not null check (next_stage between 0 and 4),
    next_stage_name text not null,
    next_stage_confidence double precision not null check (next_stage_confidence between 0 and 1),
    observed_stage_name text not null,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

create table ml.conversion_predictions (
    entity_type text not null,
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    customer_id text not null,
    predicted_conversion_probability double precision not null
    check (predicted_conversion_probability between 0 and 1),
    conversion_confidence double precision not null check (conversion_confidence between 0 and 1),
    conversion_category text not null
    check (conversion_category in ('Low', 'Medium', 'High', 'Very High')),
    conversion_insights text not null,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

reset role;
