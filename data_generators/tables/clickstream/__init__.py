"""The five collections of the clickstream, made from the company's sessions.

Each function yields the rows of one collection in the order of their numbers, some thousand
sessions at a time; a row is the same whatever the size of these chunks. What a session shows
of its stage:

- Visitor: no product page.
- Browser: product pages; no ``add_to_cart`` interaction, no ``account`` page.
- Return Visitor: product pages and an ``account`` page, no ``add_to_cart`` interaction.
- Abandoner: an ``add_to_cart`` interaction, no ``purchase`` event.
- Converter: a ``purchase`` event, and a ``purchase`` interaction for each product of the order.
"""

from data_generators.tables.clickstream.event_rows import events
from data_generators.tables.clickstream.interaction_rows import product_interactions
from data_generators.tables.clickstream.page_rows import page_views
from data_generators.tables.clickstream.search_rows import search_queries
from data_generators.tables.clickstream.session_rows import sessions

__all__ = ["events", "page_views", "product_interactions", "search_queries", "sessions"]
