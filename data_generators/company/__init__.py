"""The company itself: its latent people, products, orders, campaigns, tests and visits."""
