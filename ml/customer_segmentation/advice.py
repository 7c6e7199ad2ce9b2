"""What to do about each segment, in words a marketer can act on."""

from __future__ import annotations

from dataclasses import dataclass

from ml.customer_segmentation.config import NO_PURCHASE_TYPE, NOISE_TYPE
from ml.customer_segmentation.naming import base_type
from ml.customer_segmentation.profiles import SegmentProfile

NEW_MEANS_DAYS = 180
"""A segment of "New" customers whose typical first purchase is older than this needs a word."""


QUIET_SHARE = 25.0
"""Loyal customers of whom fewer percent than this bought in the window need a word, too."""


@dataclass(frozen=True)
class Advice:
    """Who the customers are, what to do, what not to do, and how to tell that it worked."""

    who: str
    action: str
    avoid: str
    measure: str


ADVICE = {
    "Champions": Advice(
        "Your best customers: they buy most often, spend most, and were here lately.",
        "Thank them rather than discount: early access, a named contact, a referral reward.",
        "Blanket discounts: they would have bought at full price.",
        "Share of them who buy again within the next three months.",
    ),
    "High-Value Loyal": Advice(
        "Steady customers who come back and spend well above average.",
        "Raise the basket: bundles, related products, a loyalty level just above their spending.",
        "Leaving them alone: they are one step below Champions, and can slip to At-Risk.",
        "Average order value, and how many of them move up to Champions.",
    ),
    "New": Advice(
        "Customers with a short or light history who bought lately.",
        "Win the next purchase soon: a welcome series, a small time-limited thank-you, "
        "suggestions from what they bought.",
        "Judging them by what they have spent so far: their history is short.",
        "Share of them with another purchase within sixty days.",
    ),
    "Occasional": Advice(
        "Customers who bought once or twice, little, and a long time ago.",
        "Reach them cheaply: seasonal e-mail and clearance offers, no paid retargeting.",
        "Spending more on an offer than one of their orders brings.",
        "Cost per regained order.",
    ),
    "At-Risk": Advice(
        "Customers who used to buy and have been quiet for long.",
        "Send a win-back offer now, the biggest past spenders first, and ask why they left.",
        "Waiting: the longer the silence, the fewer come back.",
        "Share of them who buy within thirty days of the offer, against a group left out.",
    ),
    NOISE_TYPE: Advice(
        "Customers who are like no segment: their rhythm of buying is rare.",
        "Rank them by what they have spent: treat the top of the list as Champions, one by one, "
        "and let the others have what everybody gets.",
        "One offer for all of them: they have nothing in common.",
        "Share of customers here: the more there are, the less the segments say.",
    ),
    NO_PURCHASE_TYPE: Advice(
        "Registered, but no purchase so far. They are not part of the model.",
        "Make the first order easy: a first-order voucher, free delivery, a reminder of what "
        "they looked at.",
        "Counting them as lost: they chose to register.",
        "Share of them with a first order within thirty days.",
    ),
}


def advice_for(profile: SegmentProfile) -> Advice:
    """Return the advice for a segment."""
    return ADVICE[base_type(profile.segment_type)]


def caution_for(profile: SegmentProfile) -> str | None:
    """Return a warning where a segment's name would say more than its figures do."""
    kind = base_type(profile.segment_type)
    if not profile.customers:
        return None
    if kind == "High-Value Loyal" and profile.active_share < QUIET_SHARE:
        return (
            f"Only {profile.active_share:.0f} % of them have bought in the inference window. Begin "
            "with a reminder to the others: at this pace they will be At-Risk."
        )
    if kind != "New" or profile.median_tenure_days <= NEW_MEANS_DAYS:
        return None
    return (
        f"Hardly anybody here is new to the shop: half of this segment first bought more than "
        f"{profile.median_tenure_days:,.0f} days ago. Read it as customers who "
        "bought lately, but less than the loyal ones."
    )
