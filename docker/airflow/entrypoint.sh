#!/bin/sh
# Writes the file in which Airflow's simple auth manager looks passwords up (where a password is
# given: in the api-server), private and in memory only, then runs the command.
set -eu

if [ -n "${AIRFLOW_ADMIN_PASSWORD:-}" ]; then
    (
        umask 077
        python -c '
import json, os, pathlib
path = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
path.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}) + "\n")
'
    )
    unset AIRFLOW_ADMIN_PASSWORD
fi
# Several containers write into the shared folders: by group, whatever their user id.
umask 007
exec "$@"
