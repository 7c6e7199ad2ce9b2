"""Starts, supervises, reports and stops the local servers and Airflow processes."""
