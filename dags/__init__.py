"""The Airflow DAGs: one thin file each, composed from the stages in :mod:`dags.stages`."""
