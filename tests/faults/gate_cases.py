"""Ways in which a night goes wrong between the sources and the marts, as SQL on the warehouse."""

from dataclasses import dataclass
from typing import Literal

EVERY_20TH = "mod(abs(hashtext({key})), 20) = 0"


@dataclass(frozen=True)
class Fault:
    """A fault, what it must lead to, and the expectation that is there for it.

    ``later`` judges the night after the one that the warehouse shows.
    """

    name: str
    sql: str
    must: Literal["stop", "warn"]
    by: str
    later: bool = False


def nulled(table: str, column: str, key: str) -> str:
    """SQL that empties a column in one row of twenty, also where the table would refuse it."""
    return (
        f"alter table {table} alter {column} drop not null;"
        f" update {table} set {column} = null where {EVERY_20TH.format(key=key)}"
    )


def doubled(table: str) -> str:
    """SQL that writes every row of a table twice, which its key would refuse."""
    return f"""
do $$ begin
    execute (
        select format('alter table {table} drop constraint %I', conname) from pg_constraint
        where conrelid = '{table}'::regclass and contype = 'p'
    );
end $$;
insert into {table} select * from {table}"""


def late(table: str, days: int) -> str:
    """SQL that takes the rows of the last days out of a raw table, and out of its load's count."""
    source, name = table.removeprefix("raw_").split(".")
    return (
        f"with gone as (delete from {table} where _valid_to is null and"
        f" created_at >= quality.night() - {days} returning 1)"
        " update elt.load_log set raw_live = raw_live - (select count(*) from gone)"
        f" where source_system = '{source}' and source_table = '{name}'"
    )


def quarantined(table: str, row: str, source_key: str, business_key: str) -> str:
    """What SQL selects from rows of raw, `row`, to put them into the quarantine of a table."""
    return f"""insert into quality.quarantine_{table}
select (jsonb_populate_record(null::quality.quarantine_{table}, jsonb_build_object(
    'source_key', {row}.{source_key}, 'business_key', {row}.{business_key}, 'rules', '{{}}'::text[],
    'severity', 'critical', 'raw_row', to_jsonb({row}), 'batch_id', {row}._batch_id,
    'as_of', quality.night()
))).*"""


def counted_out(table: str) -> str:
    """SQL by which the summary counts the rows in `thrown` as quarantined."""
    return f"""update marts.data_quality_summary
set
    quarantined = quarantined + (select count(*) from thrown),
    clean = clean - (select count(*) from thrown)
where as_of = quality.night() and table_name = '{table}';"""


# A tenth more searches in one night, which everything from raw to staging agrees on.
FLOOD = """
create temporary table flood as select * from raw_mongo.search_queries limit 1100;
update flood set _id = 'f' || substr(_id::text, 2);
insert into raw_mongo.search_queries select * from flood;
update elt.load_log set raw_live = raw_live + 1100 where source_table = 'search_queries';
create temporary table clean_flood as
select * from staging.stg_mongo__search_queries limit 1100;
update clean_flood set query_id = 'f' || substr(query_id, 2);
insert into staging.stg_mongo__search_queries select * from clean_flood;
update marts.data_quality_summary set rows_in = rows_in + 1100, clean = clean + 1100
where as_of = quality.night() and table_name = 'search_queries';
"""

# One event in twenty thrown out by cleanup.
QUARANTINED = """
delete from staging.stg_mongo__events where event_id in (
    select event_id from staging.stg_mongo__events order by event_id limit (
        select clean / 20 from marts.data_quality_summary
        where as_of = quality.night() and table_name = 'events'
    )
);
update marts.data_quality_summary
set quarantined = quarantined + clean / 20, clean = clean - clean / 20
where as_of = quality.night() and table_name = 'events';
"""

TONIGHT = "{clock} >= quality.night() - 1"
ORDERED, BEGUN = TONIGHT.format(clock="order_date"), TONIGHT.format(clock="session_start")

# Every order that came tonight thrown out by cleanup, as raw, staging and the summary agree.
ALL_QUARANTINED = f"""
create temporary table thrown as select order_id from marts.fct_orders where {ORDERED};
{quarantined("transactions", "raw", "row_id", "transaction_id")}
from raw_mysql.transactions as raw
where raw._valid_to is null and raw.transaction_id in (select order_id from thrown);
delete from staging.stg_mysql__transactions where order_id in (select order_id from thrown);
delete from marts.fct_order_items where order_id in (select order_id from thrown);
update marts.fct_sessions set order_id = null where order_id in (select order_id from thrown);
delete from marts.fct_orders where order_id in (select order_id from thrown);
{counted_out("transactions")}
"""

# The same of every event that tonight's load brought.
EVENTS_QUARANTINED = f"""
create temporary table thrown as
select raw.* from raw_mongo.events as raw
where
    raw._valid_to is null
    and raw._batch_id = (select max(batch_id) from elt.load_log where source_table = 'events')
    and raw.event_id in (select event_id from staging.stg_mongo__events);
{quarantined("events", "thrown", "_id", "event_id")}
from thrown;
delete from staging.stg_mongo__events where event_id in (select event_id from thrown);
{counted_out("events")}
"""

STOP: list[tuple[str, str, str]] = [
    ("customer_rfm emptied", "delete from marts.customer_rfm",
     "not_empty_when_there_are_purchases"),
    ("fct_orders emptied", "delete from marts.fct_orders", "still_holds_rows"),
    ("fct_sessions emptied", "delete from marts.fct_sessions", "still_holds_rows"),
    ("campaign_performance emptied", "delete from marts.campaign_performance",
     "still_holds_rows"),
    ("customer_features without the night",
     "delete from marts.customer_features where as_of = quality.night()",
     "one_row_per_current_customer"),
    ("customer_rfm_history without the night",
     "delete from marts.customer_rfm_history where as_of = quality.night()",
     "tonight_is_customer_rfm"),
    ("fct_orders doubled", doubled("marts.fct_orders"),
     "one_row_per_key"),
    ("fct_orders doubled under new keys",
     "insert into marts.fct_orders select (jsonb_populate_record(o, jsonb_build_object("
     "'order_id', 'again-' || order_id))).* from marts.fct_orders as o",
     "row_count_holds"),
    ("customer_journey doubled",
     doubled("marts.customer_journey"),
     "one_row_per_key"),
    ("every customer current twice",
     "insert into marts.dim_customers select (jsonb_populate_record(c, jsonb_build_object("
     "'customer_key', 'again-' || customer_key))).* from marts.dim_customers as c",
     "one_current_version_per_customer"),
    ("dim_products doubled", doubled("marts.dim_products"),
     "one_row_per_key"),
    ("total_amount null in 5 % of orders",
     nulled("marts.fct_orders", "total_amount", "order_id"), "columns_are_filled_as_usual"),
    ("device_type null in 5 % of sessions",
     nulled("marts.fct_sessions", "device_type", "session_id"), "columns_are_filled_as_usual"),
    ("category null in 5 % of lines",
     nulled("marts.fct_order_items", "category", "item_id"), "columns_are_filled_as_usual"),
    ("engagement_score null in 5 % of journeys",
     nulled("marts.customer_journey", "engagement_score", "customer_id"),
     "columns_are_filled_as_usual"),
    ("avg_order_value null in 5 % of features",
     nulled("marts.customer_features", "avg_order_value", "customer_id"), "no_feature_is_null"),
    ("total_amount in cents", "update marts.fct_orders set total_amount = total_amount * 100",
     "column_means_hold"),
    ("unit_price in cents",
     "update marts.fct_order_items set unit_price = unit_price * 100", "column_means_hold"),
    ("duration_seconds in milliseconds",
     "update marts.fct_sessions set duration_seconds = duration_seconds * 1000",
     "column_means_hold"),
    ("monetary_value of features in cents",
     "update marts.customer_features set monetary_value = monetary_value * 100"
     " where as_of = quality.night()", "features_add_up_to_facts"),
    ("avg_session_duration of features in minutes",
     "update marts.customer_features set avg_session_duration = avg_session_duration / 60"
     " where as_of = quality.night()", "features_are_recognisable"),
    ("total_spend of campaigns in cents",
     "update marts.campaign_performance set total_spend = total_spend * 100",
     "campaigns_add_up_to_their_days"),
    ("the status returned vanished",
     "update marts.fct_orders set order_status = 'cancelled' where order_status = 'returned'",
     "categories_hold_their_shares"),
    ("tablets vanished",
     "update marts.fct_sessions set device_type = 'mobile' where device_type = 'tablet'",
     "categories_hold_their_shares"),
    ("a payment method vanished",
     "update marts.fct_orders set payment_method = 'other' where payment_method = (select"
     " payment_method from marts.fct_orders group by 1 order by count(*) desc limit 1)",
     "categories_hold_their_shares"),
    ("a segment that nobody knows",
     "update marts.customer_rfm set rfm_segment = 'Whale' where rfm_segment = 'Champions'",
     "rfm_segment_is_one_of_eleven"),
    ("yesterday's customer_rfm again",
     "update marts.customer_rfm set as_of = as_of - 1", "shows_this_night"),
    ("yesterday's customer_journey again",
     "update marts.customer_journey set as_of = as_of - 1", "shows_this_night"),
    ("page views three days late", late("raw_mongo.page_views", 3), "is_as_fresh_as_usual"),
    ("events three days late", late("raw_mongo.events", 3), "is_as_fresh_as_usual"),
    ("transactions were not loaded",
     "delete from elt.load_log where as_of = quality.night() and source_table = 'transactions'",
     "was_loaded_tonight"),
    ("raw sessions became empty", "truncate raw_mongo.sessions", "still_holds_rows"),
    ("raw campaigns became empty", "truncate raw_postgres.campaigns", "still_holds_rows"),
    ("half of raw lines lost after the load",
     "delete from raw_mysql.transaction_items where mod(hashtext(item_id), 2) = 0",
     "live_rows_are_those_of_the_load"),
    ("a raw column changed its type",
     "alter table raw_mysql.transactions alter total_amount type text", "columns_are_as_declared"),
    ("a raw column is gone", "alter table raw_mysql.customers drop column email",
     "columns_are_as_declared"),
    ("staging lost 5 % of the orders",
     f"delete from staging.stg_mysql__transactions where {EVERY_20TH.format(key='order_id')}",
     "every_raw_row_is_accounted_for"),
    ("staging holds customers twice",
     doubled("staging.stg_mysql__customers"),
     "every_raw_row_is_accounted_for"),
    ("a third of the orders quarantined",
     "update marts.data_quality_summary set quarantined = quarantined + clean / 3,"
     " clean = clean - clean / 3 where as_of = quality.night() and table_name = 'transactions'",
     "few_rows_are_quarantined"),
    ("all of tonight's events quarantined", EVENTS_QUARANTINED,
     "new_rows_are_quarantined_as_usual"),
    ("device_type null in all of tonight's sessions",
     "alter table marts.fct_sessions alter device_type drop not null;"
     f" update marts.fct_sessions set device_type = null where {BEGUN}",
     "new_rows_are_filled_as_usual"),
    ("payment_method null in all of tonight's orders",
     "alter table marts.fct_orders alter payment_method drop not null;"
     f" update marts.fct_orders set payment_method = null where {ORDERED}",
     "new_rows_are_filled_as_usual"),
    ("total_amount of tonight's orders in cents",
     f"update marts.fct_orders set total_amount = total_amount * 100 where {ORDERED}",
     "new_rows_keep_their_means"),
    ("mobiles vanished from tonight's sessions",
     "update marts.fct_sessions set device_type = 'desktop' where device_type = 'mobile'"
     f" and {BEGUN}", "new_rows_keep_their_categories"),
    ("the status pending vanished from tonight's orders",
     "update marts.fct_orders set order_status = 'shipped' where order_status = 'pending'"
     f" and {ORDERED}", "new_rows_keep_their_categories"),
    ("sessions forgot their orders",
     "update marts.fct_sessions set order_id = null where order_id in (select order_id from"
     " marts.fct_sessions where order_id is not null order by order_id limit 3)",
     "purchases_of_journeys_are_orders"),
    ("an order of two sessions",
     "update marts.fct_sessions set order_id = (select min(order_id) from marts.fct_sessions)"
     " where session_id = (select min(session_id) from marts.fct_sessions where order_id >"
     " (select min(order_id) from marts.fct_sessions))", "purchases_of_journeys_are_orders"),
    ("conversions of the wrong customers",
     "update marts.customer_journey set converting_sessions = converting_sessions"
     " + case customer_id when (select min(customer_id) from marts.customer_journey) then 1"
     " else -1 end where customer_id in ((select min(customer_id) from marts.customer_journey),"
     " (select max(customer_id) from marts.customer_journey where converting_sessions > 0))",
     "journeys_convert_where_sessions_do"),
    ("data_quality_summary without a table",
     "delete from marts.data_quality_summary where as_of = quality.night()"
     " and table_name = 'events'", "every_source_table_is_summed_up"),
    ("1 % of the lines lost",
     "delete from marts.fct_order_items where mod(abs(hashtext(item_id)), 100) = 0",
     "lines_add_up_to_orders"),
    ("lines of orders that do not exist",
     "update marts.fct_order_items set order_id = 'none' where"
     f" {EVERY_20TH.format(key='item_id')}", "every_line_has_its_order"),
    ("one order from tomorrow",
     "update marts.fct_orders set order_date = quality.night() + interval '30 hours' where"
     " order_id = (select min(order_id) from marts.fct_orders)",
     "no_order_is_from_after_the_night"),
    ("a channel's spend is not its campaigns'",
     "update marts.channel_performance set total_spend = total_spend * 1.01",
     "channels_add_up_to_campaigns"),
    ("attribution lost a cent",
     "update marts.channel_attribution set revenue_linear = revenue_linear - 0.01"
     " where channel = 'Google'", "every_model_shares_out_all_revenue"),
    ("a journey with one session more",
     "update marts.customer_journey set total_sessions = total_sessions + 1 where"
     " customer_id = (select min(customer_id) from marts.customer_journey)",
     "sessions_and_purchases_add_up"),
    ("a feature with one purchase more",
     "update marts.customer_features set frequency = frequency + 1 where"
     " as_of = quality.night() and customer_id = (select min(customer_id)"
     " from marts.customer_features)", "features_add_up_to_facts"),
    ("a segment with one customer less",
     "update marts.rfm_segment_summary set customers = customers - 1 where"
     " rfm_segment = (select min(rfm_segment) from marts.rfm_segment_summary)",
     "segments_add_up_to_customers"),
    ("a movement forgotten", "delete from marts.rfm_segment_migration where ctid = (select"
     " min(ctid) from marts.rfm_segment_migration)", "movements_add_up_to_customers"),
    ("a month of a region one cent off",
     "update marts.sales_by_region set revenue = revenue + 0.01 where ctid = (select min(ctid)"
     " from marts.sales_by_region)", "months_add_up_to_orders"),
    ("a month of a category missing",
     "delete from marts.sales_by_category where month_start = (select min(month_start)"
     " from marts.sales_by_category)", "months_add_up_to_lines"),
    ("impressions counted twice",
     "update marts.fct_campaign_daily set impressions = impressions * 2",
     "days_add_up_to_staging"),
    ("more clicks than impressions",
     "update marts.fct_campaign_daily set clicks = impressions + 1 where impressions > 0",
     "clicks_are_no_more_than_impressions"),
    ("more conversions than impressions in a test",
     "update marts.ab_test_results set variant_a_conversions = variant_a_impressions + 1",
     "conversions_are_no_more_than_impressions"),
    ("a p-value of 1.2", "update marts.ab_test_results set p_value = 1.2", "p_value_in_range"),
    ("the loser named winner",
     "update marts.ab_test_results set winner = 'B', lift_percentage = -5 where test_id ="
     " (select min(test_id) from marts.ab_test_results)", "a_winner_has_a_lift"),
    ("a funnel step wider than the one before",
     "update marts.conversion_funnel set reached = reached_previous + 1 where step_number = 2",
     "no_step_is_reached_by_more_than_the_one_before"),
    ("the rarest paths cut off",
     "delete from marts.journey_paths where sessions = (select min(sessions) from"
     " marts.journey_paths)", "paths_add_up_to_sessions"),
    ("a day missing in the calendar",
     "delete from marts.dim_dates where date_day = quality.night() - 40", "has_no_gap"),
    ("campaigns that nobody describes",
     "delete from marts.dim_campaigns where campaign_id = (select min(campaign_id) from"
     " marts.fct_campaign_daily)", "every_campaign_is_described"),
    ("a mart is not there", "drop table marts.customer_journey cascade", "one_row_per_key"),
    ("the validator may not read a mart",
     "revoke select on marts.fct_sessions from amato_validator", "one_row_per_key"),
]  # fmt: skip

WARN: list[tuple[str, str, str]] = [
    ("the source has a column more",
     "insert into elt.contract_differences values ('mysql', 'customers', 'nickname',"
     " 'new column', 'varchar(20)', quality.night(), quality.night())",
     "source_keeps_its_contract"),
    ("a flood of searches", FLOOD, "row_count_moves_as_usual"),
    # Seven orders came, too few to be sure of a share; what is left is their age.
    ("all of tonight's orders quarantined", ALL_QUARANTINED, "is_as_fresh_as_usual"),
    ("one order in ten is of nobody",
     "update marts.fct_orders set customer_id = 'nobody' where not is_purchase",
     "most_customers_are_known"),
    ("conversion rates of campaigns null",
     "update marts.fct_campaign_daily set conversion_rate = null, ctr = null",
     "columns_are_filled_as_usual"),
    ("a source table's score fell to 70",
     "update marts.data_quality_summary set score = 70 where as_of = quality.night()"
     " and table_name = 'sessions'", "scores_are_good_enough"),
    ("quarantine fuller by 5 %", QUARANTINED, "quarantine_is_no_fuller_than_before"),
]  # fmt: skip

FAULTS = [
    *(Fault(name, sql, "stop", by) for name, sql, by in STOP),
    Fault("the whole of yesterday again", "select 1", "stop", "was_loaded_tonight", later=True),
    *(Fault(name, sql, "warn", by) for name, sql, by in WARN),
]
