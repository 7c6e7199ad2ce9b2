"""The gate on marts as dbt really builds them: of a shop without sales, then of the CDNOW sales."""

import gzip
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from dags.stages.gate import GateResult, run_gate
from tests.integration.dbt_support import build_all, fill_raw, query
from tests.integration.gate_support import note_loads
from tests.integration.test_dbt_cdnow import CDNOW, load

AS_OF = date(1998, 7, 1)


def findings(result: GateResult) -> list[str]:
    return [o.finding() for o in result.outcomes if o.state in ("failed", "error")]


def test_an_empty_shop_passes(warehouse_url: str, tmp_path: Path) -> None:
    fill_raw(warehouse_url)
    build_all(warehouse_url, tmp_path, as_of=AS_OF)
    assert query(warehouse_url, "select count(*) from marts.customer_rfm") == [(0,)]
    note_loads(warehouse_url, AS_OF)
    result = run_gate(AS_OF, tmp_path, warehouse_url)
    assert findings(result) == []
    assert result.verdict == "passed"
    # No source has ever held a row: nothing can have been lost.
    empty = [outcome for outcome in result.outcomes if outcome.name == "still_holds_rows"]
    assert {o.state for o in empty if o.suite == "raw"} == {"not_applicable"}


def test_real_sales_pass(warehouse_url: str, tmp_path: Path) -> None:
    with gzip.open(CDNOW, "rt", encoding="ascii") as lines:
        cells = [line.split() for line in lines if line.split()[0].isdigit()]
    sales = pd.DataFrame(
        {
            "customer_id": [cell[0] for cell in cells],
            "day": [datetime.strptime(cell[1], "%Y%m%d").date() for cell in cells],
            "units": [int(cell[2]) for cell in cells],
            "cents": [int(cell[3].replace(".", "")) for cell in cells],
        }
    )
    load(warehouse_url, sales)
    build_all(warehouse_url, tmp_path, as_of=AS_OF)
    note_loads(warehouse_url, AS_OF)
    result = run_gate(AS_OF, tmp_path, warehouse_url)
    assert findings(result) == []
    assert result.verdict == "passed"
    rfm = [outcome for outcome in result.outcomes if outcome.suite == "customer_rfm"]
    assert {outcome.rows_checked for outcome in rfm} == {23570, None}
