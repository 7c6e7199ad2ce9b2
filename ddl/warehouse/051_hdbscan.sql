-- Predictions of the density-based segmentation. Segment -1 is noise: customers who are like no
-- segment; -2 are those without a purchase so far.
set local role amato_scientist;

create table ml.hdbscan_predictions (
    entity_type text not null,
    entity_id text not null,
    target_date date not null,
    as_of date not null,
    model_version text not null,
    customer_id text not null,
    hdbscan_segment integer not null,
    hdbscan_segment_type text not null,
    hdbscan_confidence double precision not null,
    hdbscan_avg_monetary double precision not null,
    hdbscan_avg_frequency double precision not null,
    hdbscan_segment_size bigint not null,
    trained_as_of date not null,
    primary key (entity_type, entity_id, target_date, as_of, model_version)
);

reset role;
