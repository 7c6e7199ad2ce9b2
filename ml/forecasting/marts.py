"""Reading marts as frames, as of a night."""

from __future__ import annotations

from datetime import date

import pandas as pd
import psycopg

from ml.features import MartMissingError


def read_frame(
    conn: psycopg.Connection, query: str, as_of: date, columns: tuple[str, ...], source: str
) -> pd.DataFrame:
    """Return the rows of a query that takes `as_of`, under these names of columns.

    Raises:
        MartMissingError: a mart or one of its columns does not exist; `source` names them.
    """
    try:
        rows = conn.execute(query.encode(), {"as_of": as_of}).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        conn.rollback()
        raise MartMissingError(
            f"the model needs {source}: {error.diag.message_primary}. "
            "Run the transform stage for this as_of first."
        ) from error
    return pd.DataFrame(rows, columns=list(columns))
