"""Customer journeys: which stage customers are in, where they go, and who buys next."""
