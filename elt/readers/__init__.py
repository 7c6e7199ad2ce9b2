"""Readers of the three sources: ``extract(client, spec, window) -> batches``."""
