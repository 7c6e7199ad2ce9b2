"""Loads a sales file of any size into the MySQL shop, exactly once."""

from data_generators.sales_csv.errors import SalesFileError
from data_generators.sales_csv.importer import ImportResult, import_sales
from data_generators.sales_csv.mapping import SalesMapping

__all__ = ["ImportResult", "SalesFileError", "SalesMapping", "import_sales"]
