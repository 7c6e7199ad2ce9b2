#!/bin/sh
# Runs once, when PostgreSQL's data folder is made: the logins and databases beside the warehouse,
# as local_stack/postgres_server.py makes them. Passwords are read from the environment by psql
# itself, so that no command line holds one.
set -eu

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
\getenv amato_password POSTGRES_AMATO_PASSWORD
\getenv airflow_password POSTGRES_AIRFLOW_PASSWORD
create role amato login password :'amato_password';
create role airflow login password :'airflow_password';
create database marketing owner amato;
create database airflow owner airflow;
revoke all on database airflow from public;
SQL
