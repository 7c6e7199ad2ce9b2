-- Where dbt builds what it needs on the way when a night that is over is written once more into
-- the tables that keep every night. Empty but for the time of such a run; nobody else reads here.
create schema past_staging authorization amato_transformer;
create schema past_intermediate authorization amato_transformer;
create schema past_marts authorization amato_transformer;
create schema past_quality authorization amato_transformer;
