"""Forecasting: what will be sold, by whom, and who will click."""
