"""# import_sales_csv

**Purpose.** Load a sales file of any size into the shop as customers, transactions and items.

**Inputs.** The form: the file's path (plain or .gz, .bz2, .xz), as the worker sees it, and which
of its columns hold what. Leave the columns empty where their names say it.

**Outputs.** `shop.customers`, `shop.transactions`, `shop.transaction_items`; lines that cannot be
read go to a rejects file with line number and reason.

**Triage.** The log's first error line says what is wrong with the file or the mapping. Importing
the same file again changes nothing, so that clearing the task is safe at any point.
"""

from airflow.sdk import DAG, Param

from dags.stages.common import BY_HAND
from dags.stages.source import import_sales


def column(title: str, description: str) -> Param:
    """A form field that names a column of the file; empty means: find it by its name."""
    return Param(None, type=["null", "string"], title=title, description=description)


with DAG(
    dag_id="import_sales_csv",
    description="Load a sales file into the shop",
    doc_md=__doc__,
    params={
        "path": Param(type="string", minLength=1, title="Path of the file"),
        "date": column("Date column", "The day of the purchase."),
        "customer": column("Customer column", "Who bought."),
        "amount": column("Amount column", "What the line cost in all."),
        "order": column("Order column", "Without one, an order is one customer's day."),
        "product": column("Product column", "What was bought."),
        "quantity": column("Quantity column", "How many; 1 without one."),
        "delimiter": column("Delimiter", "A character, or: whitespace. Empty: found out."),
        "date_format": column("Date format", "Like %d/%m/%Y. Empty: found out where it is clear."),
    },
    tags=["amato", "source"],
    **BY_HAND,
):
    import_sales()
