"""Extraction from the three sources and loading into the warehouse's raw schemas."""
