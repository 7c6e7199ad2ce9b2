"""The marts have at least the columns that the design names, by these names."""

import pytest
import yaml

from tests.unit.test_dbt_project import PROJECT

RFM = """
    customer_id email first_name last_name recency_days frequency monetary_value recency_score
    frequency_score monetary_score rfm_score rfm_segment customer_lifetime_value avg_order_value
    purchase_frequency_rate
"""
JOURNEY = """
    customer_id email first_name last_name total_sessions total_page_views total_events
    avg_session_duration bounce_rate total_product_views total_cart_adds total_search_queries
    total_interactions journey_type conversion_status journey_complexity engagement_score
    conversion_probability device_preference browser_preference
"""
NAMES = " email first_name last_name "
COLUMNS = {
    "customer_rfm": RFM,
    "rfm_segment_summary": "rfm_segment customers avg_value avg_orders",
    "campaign_performance": """
        campaign_id campaign_name campaign_type channel total_impressions total_clicks
        total_conversions total_revenue total_spend total_budget overall_ctr
        overall_conversion_rate overall_roas performance_segment efficiency_score
        budget_utilization_percent revenue_rank conversion_rank roas_rank
    """,
    "channel_performance": "channel campaigns total_budget total_revenue avg_roas",
    "customer_journey": JOURNEY,
    "journey_type_summary": "journey_type customers conversion avg_sessions",
    "ab_test_results": """
        test_id test_name campaign_id variant_a_impressions variant_a_clicks variant_a_conversions
        variant_a_ctr variant_a_conversion_rate variant_b_impressions variant_b_clicks
        variant_b_conversions variant_b_ctr variant_b_conversion_rate lift_percentage
        lift_percentage_low lift_percentage_high p_value statistical_significance confidence_level
        sample_ratio_p_value winner recommendation sample_size_required
    """,
    "ab_test_summary": "test_status tests significant clear_winner",
    "data_quality_summary": """
        table_name as_of rows_in clean quarantined_by_rule deduplicated pass_rate score
        recommended_action
    """,
    # who a customer is, is in the two tables that the features are made of
    "customer_features": f"""
        {" ".join(n for n in (RFM + JOURNEY).split() if n not in NAMES.split())} as_of
        campaign_count avg_campaign_roas preferred_channel campaign_engagement
        ab_test_participation test_win_rate conversion_events add_to_cart_events
        unique_products_viewed avg_engagement_score cart_abandonment_rate return_visitor_rate
        purchase_velocity engagement_score_normalized session_intensity conversion_efficiency
        search_intensity product_exploration cart_behavior rfm_composite value_engagement_ratio
        churn_risk upsell_potential lifetime_value_potential customer_value_tier engagement_level
        is_high_value is_engaged is_mobile_user is_return_visitor age_group gender income_level
        education_level household_size
    """,
    "customer_campaigns": "customer_id campaign_id",
    "dim_customers": "customer_id valid_from valid_to is_current",
    "dim_products": "product_id",
    "dim_campaigns": "campaign_id",
    "dim_dates": "date_day",
    "fct_orders": "order_id customer_id",
    "fct_order_items": "item_id order_id product_id",
    "fct_sessions": "session_id customer_id",
    "fct_campaign_daily": "campaign_id date_day",
    "sales_by_category": "month_start category",
    "sales_by_region": "month_start region",
}
# The values that the design gives to a column.
VALUES = {
    ("campaign_performance", "performance_segment"): {"High", "Medium", "Low"},
    ("customer_journey", "journey_type"): {"Explorer", "Converter", "Browser", "Abandoner"},
    ("customer_journey", "conversion_status"): {"Converted", "Abandoned", "Browsing"},
    ("customer_journey", "journey_complexity"): {"Simple", "Medium", "Complex"},
    ("ab_test_results", "winner"): {"A", "B", "Tie"},
    ("ab_test_results", "recommendation"): {
        "Implement A", "Implement B", "Continue", "Fix the split"
    },
}  # fmt: skip


def columns(mart: str) -> dict[str, dict[str, object]]:
    """A mart's columns as its contract has them, which dbt enforces."""
    text = (PROJECT / f"models/marts/{mart}.yml").read_text(encoding="utf-8")
    (model,) = yaml.safe_load(text)["models"]
    assert model["name"] == mart
    return {column["name"]: column for column in model["columns"]}


@pytest.mark.parametrize("mart", COLUMNS)
def test_each_mart_has_the_designs_columns(mart: str) -> None:
    assert set(COLUMNS[mart].split()) - set(columns(mart)) == set()


@pytest.mark.parametrize(("mart", "column"), VALUES, ids=" ".join)
def test_columns_take_the_designs_values_and_no_others(mart: str, column: str) -> None:
    tests = columns(mart)[column]["data_tests"]
    assert isinstance(tests, list)
    (accepted,) = (
        t["accepted_values"] for t in tests if isinstance(t, dict) and "accepted" in str(t)
    )
    assert set(accepted["arguments"]["values"]) == VALUES[mart, column]
