"""Writes a world into the three source databases: all of it or nothing, and only once.

Each database must be migrated (``ddl.migrate``). Writing the same world again does nothing;
see :mod:`data_generators.marker` for what is refused.
"""

from data_generators.marker import ForeignDataError, WorldMismatchError
from data_generators.sink_mongo import check_mongo, write_mongo
from data_generators.sink_mysql import check_mysql, write_mysql
from data_generators.sink_postgres import check_postgres, write_postgres

__all__ = [
    "ForeignDataError",
    "WorldMismatchError",
    "check_mongo",
    "check_mysql",
    "check_postgres",
    "write_mongo",
    "write_mysql",
    "write_postgres",
]
