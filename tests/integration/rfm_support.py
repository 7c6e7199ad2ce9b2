"""customer_rfm by pandas, whole numbers and decimals, which shares nothing with the warehouse."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pandas as pd

from tests.integration.dbt_support import query

REPOSITORY = Path(__file__).resolve().parents[2]
SEGMENTS = REPOSITORY / "dbt_project" / "seeds" / "marts" / "rfm_segment_map.csv"


def expected_rfm(purchases: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The mart that purchases (order_id, customer_id, day, cents) make.

    Amounts are texts, so that every cent counts.
    """
    grouped = purchases.groupby("customer_id")
    table = pd.DataFrame(
        {
            "recency_days": [(as_of - day).days for day in grouped["day"].max()],
            "frequency": grouped["order_id"].nunique().to_numpy(),
            "cents": grouped["cents"].sum().to_numpy(),
            "tenure": [(as_of - day).days for day in grouped["day"].min()],
            "first_purchase_date": grouped["day"].min().to_numpy(),
            "last_purchase_date": grouped["day"].max().to_numpy(),
        },
        index=pd.Index(sorted(grouped.groups), name="customer_id"),
    )
    table["recency_score"] = pd.Series(fifths(-table["recency_days"]))
    table["frequency_score"] = pd.Series(fifths(table["frequency"]))
    table["monetary_score"] = pd.Series(fifths(table["cents"]))
    scores = ["recency_score", "frequency_score", "monetary_score"]
    table["rfm_score"] = ["".join(map(str, row)) for row in table[scores].to_numpy()]
    segments = pd.read_csv(SEGMENTS, dtype=str)
    cells = dict(zip(segments[scores].agg("".join, axis=1), segments["rfm_segment"], strict=True))
    table["rfm_segment"] = table["rfm_score"].map(cells)
    money = [Decimal(int(cents)) / 100 for cents in table["cents"]]
    days = [max(int(tenure), 90) for tenure in table["tenure"]]
    orders = [int(frequency) for frequency in table["frequency"]]
    table["monetary_value"] = [cents_to_text(value) for value in money]
    table["avg_order_value"] = [
        cents_to_text(value / n) for value, n in zip(money, orders, strict=True)
    ]
    table["purchase_frequency_rate"] = [
        str((Decimal(n * 365) / day).quantize(Decimal("0.000001"), ROUND_HALF_UP))
        for n, day in zip(orders, days, strict=True)
    ]
    table["customer_lifetime_value"] = [
        cents_to_text(value * 365 * 3 / day) for value, day in zip(money, days, strict=True)
    ]
    return table.drop(columns=["cents", "tenure"]).reset_index()


def actual_rfm(url: str, columns: list[str]) -> pd.DataFrame:
    """The mart itself, with amounts as texts."""
    amounts = {
        "monetary_value", "avg_order_value", "purchase_frequency_rate", "customer_lifetime_value",
    }  # fmt: skip
    listed = ", ".join(f"{c}::text" if c in amounts else c for c in columns)
    rows = query(url, f"select {listed} from marts.customer_rfm order by customer_id")
    return pd.DataFrame(rows, columns=columns)


def fifths(values: pd.Series) -> dict[str, int]:
    """Customer to score, for values of which the highest is best; ties by customer_id."""
    order = sorted(values.index, key=lambda customer: (values[customer], customer))
    whole, rest = divmod(len(order), 5)
    scores: dict[str, int] = {}
    start = 0
    for score in range(1, 6):
        end = start + whole + (1 if score <= rest else 0)
        scores.update(dict.fromkeys(order[start:end], score))
        start = end
    return scores


def cents_to_text(value: Decimal) -> str:
    return str(value.quantize(Decimal("0.01"), ROUND_HALF_UP))
