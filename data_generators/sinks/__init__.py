"""Writes rows into the three source databases, at the speed of their servers."""
