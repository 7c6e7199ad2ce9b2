"""Ends 0 when the api-server reports the named component healthy; for container health checks.

Standard library only, so that a check costs next to nothing: `airflow jobs check` imports all
of Airflow each time.
"""

import json
import sys
import urllib.request

URL = "http://api-server:8080/api/v2/monitor/health"
TIMEOUT_SECONDS = 10


def main() -> int:
    """Print the component's state, and return the exit code."""
    component = sys.argv[1]
    with urllib.request.urlopen(URL, timeout=TIMEOUT_SECONDS) as answer:
        status = json.load(answer)[component]["status"]
    print(f"{component}: {status}")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main())
