"""Sources and a warehouse that a module's tests share, emptied before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Servers
from tests.integration.elt.support import (
    Clicks,
    Marketing,
    Shop,
    Source,
    empty_warehouse,
    open_source,
    open_warehouse,
    shared_source,
    shared_warehouse,
)


@pytest.fixture(scope="module")
def shared_warehouse_url(servers: Servers) -> Iterator[str]:
    with shared_warehouse(servers) as url:
        yield url


@pytest.fixture
def warehouse(shared_warehouse_url: str) -> Iterator[psycopg.Connection[Any]]:
    empty_warehouse(shared_warehouse_url)
    with open_warehouse(shared_warehouse_url) as conn:
        yield conn


@pytest.fixture(scope="module", params=["mysql", "postgres", "mongo"])
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def source_url(system: str, servers: Servers) -> Iterator[str]:
    with shared_source(system, servers) as url:
        yield url


@pytest.fixture
def source(system: str, source_url: str) -> Iterator[Source]:
    with open_source(system, source_url) as opened:
        opened.clear()
        yield opened


@pytest.fixture
def shop(mysql_url: str) -> Iterator[Shop]:
    with open_source("mysql", mysql_url) as source:
        assert isinstance(source, Shop)
        yield source


@pytest.fixture
def marketing(marketing_url: str) -> Iterator[Marketing]:
    with open_source("postgres", marketing_url) as source:
        assert isinstance(source, Marketing)
        yield source


@pytest.fixture
def clicks(mongo_url: str) -> Iterator[Clicks]:
    with open_source("mongo", mongo_url) as source:
        assert isinstance(source, Clicks)
        yield source
