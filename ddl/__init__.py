"""The SQL and JSON that create the source databases and the warehouse, and what applies them."""
