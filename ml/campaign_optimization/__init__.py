"""Campaigns: which will succeed, and how to share the budget."""
