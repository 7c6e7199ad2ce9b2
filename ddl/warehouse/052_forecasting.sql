-- Predictions of revenue and of click-through rates.
set local role amato_scientist;

-- Customers' revenue of the month after the night, and the company's of each day after it.
create table ml.revenue_predictions (
    entity_type text not null check (entity_type in ('customer', 'company')),
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    customer_id text,
    predicted_revenue double precision not null,
    low double precision not null,
    high double precision not null,
    low_80 double precision not null,
    high_80 double precision not null,
    forecast_confidence double precision not null,
    forecast_period text not null,
    forecast_date date not null,
    explanation text not null,
    trained_as_of date not null,
    check ((customer_id is null) = (entity_type <> 'customer')),
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

create table ml.ctr_predictions (
    entity_type text not null check (entity_type in ('customer', 'campaign', 'channel')),
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    customer_id text,
    predicted_ctr double precision not null check (predicted_ctr between 0 and 1),
    low double precision not null,
    high double precision not null,
    forecast_confidence double precision not null,
    forecast_period text not null,
    forecast_date date not null,
    channel text,
    explanation text not null,
    trained_as_of date not null,
    check ((customer_id is null) = (entity_type <> 'customer')),
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

reset role;
