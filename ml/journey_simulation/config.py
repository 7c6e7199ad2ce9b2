"""Settings of both models of journeys, and the published rule of the stages."""

from __future__ import annotations

from dataclasses import dataclass, field

FAMILY = "journey_simulation"
STAGE, CONVERSION = "stage", "conversion"

STAGE_NAMES = ("Visitor", "Browser", "Converter", "Abandoner", "Return Visitor")
VISITOR, BROWSER, CONVERTER, ABANDONER, RETURN_VISITOR = range(5)

STAGE_RULE = (
    (CONVERTER, "at least one purchase in the period, in the shop or on the site"),
    (ABANDONER, "no purchase, but a product put into the basket or a checkout begun"),
    (RETURN_VISITOR, "neither, but the page of the own account opened"),
    (BROWSER, "none of these, but a product looked at"),
    (VISITOR, "none of these: only looked in, or was not seen at all"),
)
"""The stage of a customer in a period: the first line that holds, from top to bottom."""

STAGE_TRAITS = (
    "looks in without opening a product, or stays away",
    "looks at products without putting any into the basket",
    "buys",
    "fills a basket or begins a checkout without buying",
    "comes back to the own account without filling a basket",
)
"""What customers of each stage do, 0 to 4."""

STAGE_DEFINING = (
    "product_page_views",
    "cart_page_views",
    "checkout_page_views",
    "account_page_views",
    "checkout_starts",
    "purchases",
    "interactions",
    "product_views",
    "cart_adds",
    "cart_removals",
    "wishlist_adds",
)
"""Counts that the rule looks at, or that only come with them: the classification of the current
stage must do without these (and without orders of the period)."""

MONTH_DAYS = 30
"""A month of journeys and of purchases: origins are so many days apart."""

CATEGORY_BOUNDS = (0.05, 0.20, 0.50)
"""conversion_category: Low below the first, Medium, High, and Very High from the last on."""

CATEGORIES = ("Low", "Medium", "High", "Very High")


@dataclass(frozen=True)
class BoosterConfig:
    """Settings of gradient-boosted trees (Chen and Guestrin 2016), on one thread."""

    rounds: int = 120
    learning_rate: float = 0.06
    max_depth: int = 4
    min_child_weight: float = 20.0
    reg_lambda: float = 5.0
    subsample: float = 1.0
    colsample: float = 0.8


@dataclass(frozen=True)
class ConversionConfig:
    """Settings of `conversion`.

    horizon_days        a purchase within so many days is what is predicted
    train_origins       monthly origins before the cutoff that training learns from, at most
    rolling_origins     of these, those that are predicted by a model of only the older ones
    calibration_origins latest origins kept out of fitting, for calibration and tuning
    trials              Optuna trials (TPE, Bergstra et al. 2011, seeded)
    tuning_seconds      guard: tuning that takes longer is given up for `booster`
    min_customers       fewer customers than this are too few to learn from
    min_purchasers      as are fewer positive outcomes
    resamples           bootstrap resamples of each interval
    random_state        seeds trees, tuning and bootstrap
    booster             settings where tuning is given up
    prior_weight        customers of the average rate that each bin of the baseline begins with
    """

    horizon_days: int = MONTH_DAYS
    train_origins: int = 14
    rolling_origins: int = 6
    calibration_origins: int = 2
    trials: int = 8
    tuning_seconds: float = 60.0
    min_customers: int = 200
    min_purchasers: int = 50
    resamples: int = 300
    random_state: int = 42
    booster: BoosterConfig = field(default_factory=BoosterConfig)
    prior_weight: float = 20.0

    def __post_init__(self) -> None:
        """Refuse settings that no training could honour."""
        if self.rolling_origins < 6:
            raise ValueError(f"rolling_origins must be 6 or more, got {self.rolling_origins}")
        if self.train_origins <= self.calibration_origins + 1:
            raise ValueError("train_origins must leave two origins beside those of calibration")


@dataclass(frozen=True)
class StageConfig:
    """Settings of `stage`.

    train_origins       monthly origins before the cutoff that training learns from, at most
    rolling_origins     of these, those that are predicted by a model of only the older ones
    window_origins      windows before the cutoff that the current stage is learnt from, at most
    tuning_origins      latest origins kept out while the decision rule is chosen
    min_customers       fewer customers with a visit than this are too few to learn from
    resamples           bootstrap resamples of each interval
    random_state        seeds trees, simulation and bootstrap
    smoothing           pseudo-counts of each row of the transition matrix (the overall shares)
    simulated_months    months that the report plays forward
    less_abandonment    "what if abandonment fell by" this share, in the report
    booster             settings of both forests
    """

    train_origins: int = 9
    rolling_origins: int = 6
    window_origins: int = 6
    tuning_origins: int = 2
    min_customers: int = 200
    resamples: int = 200
    random_state: int = 42
    smoothing: float = 5.0
    simulated_months: int = 6
    less_abandonment: float = 0.2
    booster: BoosterConfig = field(
        default_factory=lambda: BoosterConfig(rounds=40, learning_rate=0.15, max_depth=4)
    )

    def __post_init__(self) -> None:
        """Refuse settings that no training could honour."""
        if self.rolling_origins < 6:
            raise ValueError(f"rolling_origins must be 6 or more, got {self.rolling_origins}")
        if not 0 <= self.less_abandonment <= 1:
            raise ValueError(f"less_abandonment is a share, got {self.less_abandonment}")
