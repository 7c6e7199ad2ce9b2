"""What the marts of campaigns show of generated companies, as arrays, beside the planted truth."""

from dataclasses import dataclass
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from data_generators.args import WorldArgs
from data_generators.company.campaigns import AUDIENCES, TYPES, Campaigns, Response, make_campaigns
from data_generators.company.catalogue import make_catalogue
from data_generators.company.customers import CHANNELS, make_customers
from data_generators.company.fulfilment import PURCHASES
from data_generators.company.orders import make_orders
from data_generators.company.purchases import make_organic
from data_generators.company.response import cause_orders, channel_spend, make_response
from data_generators.company.world import World
from data_generators.tables.marketing import platform_conversions
from data_generators.timeline import DAY, Timeline

AS_OF = date(2026, 1, 1)
