"""Planted defects: their catalogue, where each one falls, and what must become of it."""
