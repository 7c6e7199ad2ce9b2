"""A seeded world of a company, and sinks that write it into the three source databases."""
