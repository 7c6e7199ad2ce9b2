-- One rule a line, however long. -- noqa: disable=LT02,LT05
{# The rules of cleanup, as data: quality.rules shows them, and each table's quarantine applies its
   own. To add a rule, add a line. `fails` is the condition on a row of the table's quarantine model
   (columns named as in staging) that makes it a violation; unknown (null) is none. Severity:
   critical (the row has no identity or no place), major (a figure or a time is impossible), minor
   (a description is). Each of them quarantines; they weigh differently in the score. #}
{% macro quality_rules() -%}
{%- set too_late = as_of_start() ~ " + interval '1 day'" -%}
{%- set too_early = "timestamptz '" ~ var('web_since') ~ " 00:00:00+00'" -%}
{%- set unfit = 'A value is not of its type (a zero date, text for a number) and cannot be repaired; _extra of the raw row has it.' -%}
{{ return([
    {'table': 'customers', 'name': 'key_missing', 'severity': 'critical', 'fails': "customer_id is null", 'description': 'The customer has no customer_id.'},
    {'table': 'customers', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'customers', 'name': 'email_invalid', 'severity': 'major', 'fails': "email !~ '^[^@[:space:],;:<>()]+@([^@[:space:],;:<>().]+[.])+[^@[:space:],;:<>().]{2,}$' or email ~ '[.][.]|[.]@|^[.]'", 'description': 'The e-mail address, in lower case and without blanks around it, is no address (a blank one is none either). Not given is no violation.'},
    {'table': 'customers', 'name': 'birth_date_impossible', 'severity': 'major', 'fails': "date_of_birth < date '" ~ var('oldest_birth_date') ~ "' or date_of_birth > " ~ as_of(), 'description': 'Born before the variable oldest_birth_date, or after the night.'},
    {'table': 'customers', 'name': 'registration_in_future', 'severity': 'major', 'fails': "registration_date > " ~ as_of(), 'description': 'Registers after the night.'},

    {'table': 'customer_demographics', 'name': 'key_missing', 'severity': 'critical', 'fails': "customer_id is null", 'description': 'The profile has no customer_id.'},
    {'table': 'customer_demographics', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'customer_demographics', 'name': 'customer_unknown', 'severity': 'critical', 'fails': "customer_id is not null and customer_is_quarantined is null", 'description': 'The shop never had the customer.'},
    {'table': 'customer_demographics', 'name': 'customer_quarantined', 'severity': 'critical', 'fails': "customer_is_quarantined", 'description': 'The customer is in quarantine.'},
    {'table': 'customer_demographics', 'name': 'age_group_unknown', 'severity': 'minor', 'fails': "age_group not in " ~ known('age_groups'), 'description': 'The age bracket is none of the variable known_values.age_groups.'},
    {'table': 'customer_demographics', 'name': 'education_unknown', 'severity': 'minor', 'fails': "education_level not in " ~ known('education_levels'), 'description': 'The education is none of the variable known_values.education_levels.'},
    {'table': 'customer_demographics', 'name': 'household_size_impossible', 'severity': 'major', 'fails': "household_size not between 1 and " ~ var('max_household_size'), 'description': 'Fewer than one person in the household, or more than the variable max_household_size.'},

    {'table': 'transactions', 'name': 'key_missing', 'severity': 'critical', 'fails': "order_id is null", 'description': 'The order has no transaction_id.'},
    {'table': 'transactions', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'transactions', 'name': 'customer_unknown', 'severity': 'critical', 'fails': "customer_id is not null and customer_is_quarantined is null", 'description': 'The shop never had the customer. An order of nobody in particular (no customer_id) is no violation.'},
    {'table': 'transactions', 'name': 'customer_quarantined', 'severity': 'critical', 'fails': "customer_is_quarantined", 'description': 'The customer is in quarantine.'},
    {'table': 'transactions', 'name': 'amount_negative', 'severity': 'major', 'fails': "total_amount < 0 or discount_amount < 0", 'description': 'The total or the discount is below zero.'},
    {'table': 'transactions', 'name': 'amount_absurd', 'severity': 'major', 'fails': "total_amount > " ~ var('max_order_amount'), 'description': 'The total is above the variable max_order_amount.'},
    {'table': 'transactions', 'name': 'total_mismatch', 'severity': 'major', 'fails': "abs(total_amount + coalesce(discount_amount, 0) - line_totals) > 0.01", 'description': 'The total is not the sum of the line totals (of all lines but duplicates) less the discount, by more than a cent. An order without lines is no violation.'},
    {'table': 'transactions', 'name': 'date_in_future', 'severity': 'major', 'fails': "order_date >= " ~ too_late, 'description': 'Ordered after the day of the night.'},
    {'table': 'transactions', 'name': 'status_unknown', 'severity': 'major', 'fails': "order_status not in " ~ known('order_statuses'), 'description': 'The status, in lower case and without blanks around it, is none of the variable known_values.order_statuses. None at all is no violation.'},

    {'table': 'transaction_items', 'name': 'key_missing', 'severity': 'critical', 'fails': "item_id is null", 'description': 'The line has no item_id.'},
    {'table': 'transaction_items', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'transaction_items', 'name': 'order_unknown', 'severity': 'critical', 'fails': "order_is_quarantined is null", 'description': 'The line names no order, or one that the shop never had.'},
    {'table': 'transaction_items', 'name': 'order_quarantined', 'severity': 'critical', 'fails': "order_is_quarantined", 'description': 'The order is in quarantine.'},
    {'table': 'transaction_items', 'name': 'quantity_impossible', 'severity': 'major', 'fails': "quantity not between 1 and " ~ var('max_item_quantity'), 'description': 'Fewer than one piece, or more than the variable max_item_quantity.'},
    {'table': 'transaction_items', 'name': 'price_impossible', 'severity': 'major', 'fails': "unit_price < 0", 'description': 'The price of one piece is below zero.'},
    {'table': 'transaction_items', 'name': 'line_total_mismatch', 'severity': 'major', 'fails': "abs(line_total - quantity * unit_price * (1 - coalesce(discount_percent, 0) / 100)) > 0.01", 'description': 'The line total is not quantity x price less the discount, by more than a cent.'},

    {'table': 'customer_segments', 'name': 'key_missing', 'severity': 'critical', 'fails': "segment_id is null", 'description': 'The segment has no segment_id.'},
    {'table': 'customer_segments', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},

    {'table': 'customer_segment_mapping', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'customer_segment_mapping', 'name': 'customer_unknown', 'severity': 'critical', 'fails': "customer_is_quarantined is null", 'description': 'The assignment names no customer, or one that the shop never had.'},
    {'table': 'customer_segment_mapping', 'name': 'customer_quarantined', 'severity': 'critical', 'fails': "customer_is_quarantined", 'description': 'The customer is in quarantine.'},
    {'table': 'customer_segment_mapping', 'name': 'segment_unknown', 'severity': 'critical', 'fails': "segment_is_quarantined is null", 'description': 'The assignment names no segment, or one that the shop never had.'},
    {'table': 'customer_segment_mapping', 'name': 'segment_quarantined', 'severity': 'critical', 'fails': "segment_is_quarantined", 'description': 'The segment is in quarantine.'},
    {'table': 'customer_segment_mapping', 'name': 'score_impossible', 'severity': 'major', 'fails': "score not between 0 and 1 or confidence not between 0 and 1", 'description': 'The score or its confidence is not between 0 and 1.'},

    {'table': 'campaigns', 'name': 'key_missing', 'severity': 'critical', 'fails': "campaign_id is null", 'description': 'The campaign has no campaign_id.'},
    {'table': 'campaigns', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'campaigns', 'name': 'budget_negative', 'severity': 'major', 'fails': "budget < 0", 'description': 'The budget is below zero.'},
    {'table': 'campaigns', 'name': 'budget_absurd', 'severity': 'major', 'fails': "budget > " ~ var('max_campaign_budget'), 'description': 'The budget is above the variable max_campaign_budget.'},
    {'table': 'campaigns', 'name': 'end_before_start', 'severity': 'major', 'fails': "end_date < start_date", 'description': 'The campaign ends before it starts.'},
    {'table': 'campaigns', 'name': 'channel_unknown', 'severity': 'major', 'fails': "channel not in " ~ known('channels'), 'description': 'The channel is none of the variable known_values.channels.'},

    {'table': 'campaign_performance', 'name': 'key_missing', 'severity': 'critical', 'fails': "performance_id is null", 'description': 'The day has no performance_id.'},
    {'table': 'campaign_performance', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'campaign_performance', 'name': 'campaign_unknown', 'severity': 'critical', 'fails': "campaign_is_quarantined is null", 'description': 'The day names no campaign, or one that marketing never had.'},
    {'table': 'campaign_performance', 'name': 'campaign_quarantined', 'severity': 'critical', 'fails': "campaign_is_quarantined", 'description': 'The campaign is in quarantine.'},
    {'table': 'campaign_performance', 'name': 'clicks_above_impressions', 'severity': 'major', 'fails': "clicks > impressions", 'description': 'More clicks than impressions.'},
    {'table': 'campaign_performance', 'name': 'conversions_above_clicks', 'severity': 'major', 'fails': "conversions > clicks", 'description': 'More conversions than clicks.'},
    {'table': 'campaign_performance', 'name': 'spend_negative', 'severity': 'major', 'fails': "spend < 0", 'description': 'The spend is below zero.'},
    {'table': 'campaign_performance', 'name': 'count_negative', 'severity': 'major', 'fails': "least(impressions, clicks, conversions) < 0", 'description': 'A count is below zero.'},
    {'table': 'campaign_performance', 'name': 'date_before_start', 'severity': 'major', 'fails': "performance_date < campaign_start_date", 'description': 'Reports a day before the campaign began.'},
    {'table': 'campaign_performance', 'name': 'date_in_future', 'severity': 'major', 'fails': "performance_date > " ~ as_of(), 'description': 'Reports a day after the night.'},

    {'table': 'ab_tests', 'name': 'key_missing', 'severity': 'critical', 'fails': "test_id is null", 'description': 'The test has no test_id.'},
    {'table': 'ab_tests', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'ab_tests', 'name': 'campaign_unknown', 'severity': 'critical', 'fails': "campaign_id is not null and campaign_is_quarantined is null", 'description': 'Marketing never had the campaign. A test of no campaign is no violation.'},
    {'table': 'ab_tests', 'name': 'campaign_quarantined', 'severity': 'critical', 'fails': "campaign_is_quarantined", 'description': 'The campaign is in quarantine.'},
    {'table': 'ab_tests', 'name': 'sample_size_impossible', 'severity': 'major', 'fails': "sample_size < 1", 'description': 'The planned sample has nobody in it.'},
    {'table': 'ab_tests', 'name': 'end_before_start', 'severity': 'major', 'fails': "end_date < start_date", 'description': 'The test ends before it starts.'},

    {'table': 'ab_test_results', 'name': 'key_missing', 'severity': 'critical', 'fails': "result_id is null", 'description': 'The row has no result_id.'},
    {'table': 'ab_test_results', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'ab_test_results', 'name': 'test_unknown', 'severity': 'critical', 'fails': "test_is_quarantined is null", 'description': 'The row names no test, or one that marketing never had.'},
    {'table': 'ab_test_results', 'name': 'test_quarantined', 'severity': 'critical', 'fails': "test_is_quarantined", 'description': 'The test is in quarantine.'},
    {'table': 'ab_test_results', 'name': 'variant_unknown', 'severity': 'critical', 'fails': "variant is null or variant not in ('A', 'B')", 'description': 'The variant is neither A nor B.'},
    {'table': 'ab_test_results', 'name': 'clicks_above_impressions', 'severity': 'major', 'fails': "clicks > impressions", 'description': 'More clicks than impressions.'},
    {'table': 'ab_test_results', 'name': 'conversions_above_impressions', 'severity': 'major', 'fails': "conversions > impressions", 'description': 'More conversions than impressions.'},
    {'table': 'ab_test_results', 'name': 'count_negative', 'severity': 'major', 'fails': "least(impressions, clicks, conversions) < 0", 'description': 'A count is below zero.'},

    {'table': 'sessions', 'name': 'key_missing', 'severity': 'critical', 'fails': "session_id is null", 'description': 'The session has no session_id.'},
    {'table': 'sessions', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'sessions', 'name': 'customer_unknown', 'severity': 'critical', 'fails': "customer_id is not null and customer_is_quarantined is null", 'description': 'The shop never had the customer who is signed in. An anonymous session is no violation.'},
    {'table': 'sessions', 'name': 'customer_quarantined', 'severity': 'critical', 'fails': "customer_is_quarantined", 'description': 'The customer who is signed in is in quarantine.'},
    {'table': 'sessions', 'name': 'start_missing', 'severity': 'critical', 'fails': "session_start is null", 'description': 'The session has no beginning.'},
    {'table': 'sessions', 'name': 'start_in_future', 'severity': 'major', 'fails': "session_start >= " ~ too_late, 'description': 'The session starts after the day of the night.'},
    {'table': 'sessions', 'name': 'start_too_early', 'severity': 'major', 'fails': "session_start < " ~ too_early, 'description': 'The session starts before the variable web_since.'},
    {'table': 'sessions', 'name': 'end_before_start', 'severity': 'major', 'fails': "session_end < session_start", 'description': 'The session ends before it starts.'},

    {'table': 'page_views', 'name': 'key_missing', 'severity': 'critical', 'fails': "view_id is null", 'description': 'The page view has no view_id.'},
    {'table': 'page_views', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'page_views', 'name': 'session_unknown', 'severity': 'critical', 'fails': "session_is_quarantined is null", 'description': 'The page view names no session, or one that was never seen.'},
    {'table': 'page_views', 'name': 'session_quarantined', 'severity': 'critical', 'fails': "session_is_quarantined", 'description': 'The session is in quarantine.'},
    {'table': 'page_views', 'name': 'time_missing', 'severity': 'critical', 'fails': "viewed_at is null", 'description': 'The page view has no timestamp.'},
    {'table': 'page_views', 'name': 'time_impossible', 'severity': 'major', 'fails': "viewed_at >= " ~ too_late ~ " or viewed_at < " ~ too_early, 'description': 'Viewed after the day of the night, or before the variable web_since.'},
    {'table': 'page_views', 'name': 'scroll_depth_impossible', 'severity': 'major', 'fails': "scroll_depth not between 0 and 100", 'description': 'The scroll depth is not between 0 and 100 percent.'},

    {'table': 'events', 'name': 'key_missing', 'severity': 'critical', 'fails': "event_id is null", 'description': 'The event has no event_id.'},
    {'table': 'events', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'events', 'name': 'session_unknown', 'severity': 'critical', 'fails': "session_is_quarantined is null", 'description': 'The event names no session, or one that was never seen.'},
    {'table': 'events', 'name': 'session_quarantined', 'severity': 'critical', 'fails': "session_is_quarantined", 'description': 'The session is in quarantine.'},
    {'table': 'events', 'name': 'time_missing', 'severity': 'critical', 'fails': "occurred_at is null", 'description': 'The event has no timestamp.'},
    {'table': 'events', 'name': 'time_impossible', 'severity': 'major', 'fails': "occurred_at >= " ~ too_late ~ " or occurred_at < " ~ too_early, 'description': 'Happened after the day of the night, or before the variable web_since.'},
    {'table': 'events', 'name': 'type_unknown', 'severity': 'major', 'fails': "event_type is null or event_type not in " ~ known('event_types'), 'description': 'The kind of event is none of the variable known_values.event_types.'},

    {'table': 'product_interactions', 'name': 'key_missing', 'severity': 'critical', 'fails': "interaction_id is null", 'description': 'The interaction has no interaction_id.'},
    {'table': 'product_interactions', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'product_interactions', 'name': 'session_unknown', 'severity': 'critical', 'fails': "session_is_quarantined is null", 'description': 'The interaction names no session, or one that was never seen.'},
    {'table': 'product_interactions', 'name': 'session_quarantined', 'severity': 'critical', 'fails': "session_is_quarantined", 'description': 'The session is in quarantine.'},
    {'table': 'product_interactions', 'name': 'time_missing', 'severity': 'critical', 'fails': "occurred_at is null", 'description': 'The interaction has no timestamp.'},
    {'table': 'product_interactions', 'name': 'time_impossible', 'severity': 'major', 'fails': "occurred_at >= " ~ too_late ~ " or occurred_at < " ~ too_early, 'description': 'Happened after the day of the night, or before the variable web_since.'},
    {'table': 'product_interactions', 'name': 'product_missing', 'severity': 'critical', 'fails': "product_id is null", 'description': 'The interaction names no product.'},
    {'table': 'product_interactions', 'name': 'type_unknown', 'severity': 'major', 'fails': "interaction_type is null or interaction_type not in " ~ known('interaction_types'), 'description': 'The kind of interaction is none of the variable known_values.interaction_types.'},

    {'table': 'search_queries', 'name': 'key_missing', 'severity': 'critical', 'fails': "query_id is null", 'description': 'The search has no query_id.'},
    {'table': 'search_queries', 'name': 'value_unfit', 'severity': 'major', 'fails': "unfit_columns is not null", 'description': unfit},
    {'table': 'search_queries', 'name': 'session_unknown', 'severity': 'critical', 'fails': "session_is_quarantined is null", 'description': 'The search names no session, or one that was never seen.'},
    {'table': 'search_queries', 'name': 'session_quarantined', 'severity': 'critical', 'fails': "session_is_quarantined", 'description': 'The session is in quarantine.'},
    {'table': 'search_queries', 'name': 'time_missing', 'severity': 'critical', 'fails': "searched_at is null", 'description': 'The search has no timestamp.'},
    {'table': 'search_queries', 'name': 'time_impossible', 'severity': 'major', 'fails': "searched_at >= " ~ too_late ~ " or searched_at < " ~ too_early, 'description': 'Searched after the day of the night, or before the variable web_since.'},
    {'table': 'search_queries', 'name': 'term_missing', 'severity': 'major', 'fails': "search_term is null", 'description': 'The search has no words.'},
    {'table': 'search_queries', 'name': 'results_count_negative', 'severity': 'major', 'fails': "results_count < 0", 'description': 'The number of results is below zero.'},
]) }}
{%- endmacro %}

{# One list of the variable known_values, as an SQL list. #}
{% macro known(list) -%}
    ('{{ var('known_values')[list] | join("', '") }}')
{%- endmacro %}
