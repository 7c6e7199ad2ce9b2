"""The datasets stage: a night's customer features as files, for who has no warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import task

from dags.stages.common import shared_home
from dags.stages.connections import warehouse
from dags.stages.night import night_of_run
from dags.stages.validate import require_passed


@task(pool="warehouse")
def export_datasets() -> dict[str, Any]:
    """Write the night's features, all customers' and recent ones', under AMATO_HOME/datasets.

    A night that is not published, or was built again since, is refused.
    """
    from dags.stages.exports import export_datasets as export

    as_of = night_of_run()
    require_passed(as_of)
    with warehouse("amato_scientist") as conn:
        written = export(conn, as_of, Path(shared_home()))
    return {"customers": written.customers, "recent_customers": written.recent_customers}
