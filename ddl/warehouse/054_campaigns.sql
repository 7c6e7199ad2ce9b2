-- Predictions of the models of campaigns.
set local role amato_scientist;

-- Rows of campaigns (success before launch) and of customers (response to the next campaign); the
-- expected return is null for customers and where the simple answer predicts.
create table ml.success_predictions (
    entity_type text not null check (entity_type in ('campaign', 'customer')),
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    campaign_id text,
    customer_id text,
    predicted_campaign_success integer not null check (predicted_campaign_success in (0, 1)),
    success_probability double precision not null check (success_probability between 0 and 1),
    success_low double precision not null,
    success_high double precision not null,
    success_confidence double precision not null,
    success_category text not null,
    success_factors text not null,
    predicted_roas double precision,
    roas_low double precision,
    roas_high double precision,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

-- Rows of channels, of campaigns and of customers, which each share the same total (a channel
-- without a campaign leaves its part to none). Amounts are for the days of the plan, which ends
-- before target_date; estimated_roi is null where nothing is to be spent.
create table ml.budget_predictions (
    entity_type text not null check (entity_type in ('channel', 'campaign', 'customer')),
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    entity text not null,
    predicted_optimal_budget double precision not null,
    budget_low double precision not null,
    budget_high double precision not null,
    budget_confidence double precision not null,
    budget_category text not null,
    current_budget double precision not null,
    current_revenue double precision not null,
    expected_revenue double precision not null,
    expected_revenue_low double precision not null,
    expected_revenue_high double precision not null,
    estimated_roi double precision,
    marginal_roi double precision,
    roi_category text not null,
    optimization_insights text not null,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

reset role;
