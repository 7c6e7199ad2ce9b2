"""Connections given from outside, and the environment that Airflow gets."""

import json
from pathlib import Path

import pytest

from local_stack.connections import external, keep_external
from local_stack.layout import REPOSITORY, Layout, StackError
from local_stack.stack import Stack

GIVEN = {
    "AIRFLOW_CONN_MYSQL_SHOP": "mysql://u:p%40ss@db.example:3307/shop?charset=utf8mb4",
    "AIRFLOW_CONN_POSTGRES_MARKETING": "postgres://u:p@pg.example/marketing",
    "AIRFLOW_CONN_MONGO_CLICKSTREAM": "mongo://u:p@m.example:27018/clicks?authSource=admin&srv=false",
    "AIRFLOW_CONN_WAREHOUSE": "postgresql://u:p@wh.example:5433/dwh",
}


def test_nothing_given_is_nothing_external() -> None:
    assert external({}) == {}
    assert external({"AIRFLOW_CONN_MYSQL_SHOP": ""}) == {}


def test_uris_become_plain_urls() -> None:
    assert external(GIVEN) == {
        "mysql": "mysql://u:p%40ss@db.example:3307/shop?charset=utf8mb4",
        "postgres": "postgresql://u:p@pg.example/marketing",
        "mongo": "mongodb://u:p@m.example:27018/clicks?authSource=admin",
        "warehouse": "postgresql://u:p@wh.example:5433/dwh",
    }


@pytest.mark.parametrize(
    "value",
    ["mongo://u:p@m.example/clicks?srv=true", "mongodb+srv://u:p@m.example/clicks"],
)
def test_mongo_srv(value: str) -> None:
    assert external({"AIRFLOW_CONN_MONGO_CLICKSTREAM": value}) == {
        "mongo": "mongodb+srv://u:p@m.example/clicks"
    }


def test_json_form() -> None:
    value = json.dumps(
        {
            "conn_type": "mongo",
            "host": "m.example",
            "port": 27017,
            "login": "u",
            "password": "p@:/",
            "schema": "clicks",
            "extra": {"authSource": "admin", "tls": True},
        }
    )
    assert external({"AIRFLOW_CONN_MONGO_CLICKSTREAM": value}) == {
        "mongo": "mongodb://u:p%40%3A%2F@m.example:27017/clicks?authSource=admin&tls=true"
    }


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://u:hush@h/db",
        "mysql://",
        "mysql://u:hush@h:port/db",
        "hush",
        '{"host": "hush"',
        "{}",
    ],
)
def test_a_bad_value_names_the_variable_and_keeps_the_password(value: str) -> None:
    with pytest.raises(StackError, match="AIRFLOW_CONN_MYSQL_SHOP") as caught:
        external({"AIRFLOW_CONN_MYSQL_SHOP": value})
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def stack(tmp_path: Path, **environment: str) -> Stack:
    made = Stack(tmp_path / "stack", environment=environment)
    made.layout.make()
    return made


def test_no_local_server_for_a_given_connection(tmp_path: Path) -> None:
    given = stack(tmp_path, **GIVEN)
    assert given.data_services == ["postgres"]  # Airflow's metadata
    assert stack(tmp_path).data_services == ["postgres", "mysql", "mongo"]


def test_given_connections_reach_airflow_as_they_are(tmp_path: Path) -> None:
    mysql = {"AIRFLOW_CONN_MYSQL_SHOP": GIVEN["AIRFLOW_CONN_MYSQL_SHOP"]}
    given = stack(tmp_path, **mysql)
    environment = given.airflow_env()
    assert environment["AIRFLOW_CONN_MYSQL_SHOP"] == mysql["AIRFLOW_CONN_MYSQL_SHOP"]
    assert environment["AMATO_EXTERNAL"] == "mysql"
    assert given.urls()["MYSQL_URL"] == mysql["AIRFLOW_CONN_MYSQL_SHOP"]
    assert stack(tmp_path, **GIVEN).airflow_env()["AMATO_EXTERNAL"] == (
        "mysql,postgres,mongo,warehouse"
    )
    assert stack(tmp_path).airflow_env()["AMATO_EXTERNAL"] == ""


def test_urls_have_full_rights_and_airflow_has_not(tmp_path: Path) -> None:
    local = stack(tmp_path)
    local.airflow_env()  # makes secrets and ports
    urls = local.urls()
    secrets, ports = local.context.secrets, local.context.ports
    assert urls == {
        "MYSQL_URL": f"mysql://amato_admin:{secrets.mysql_admin}@127.0.0.1:{ports['mysql']}/shop",
        "MARKETING_URL": (
            f"postgresql://amato_admin:{secrets.postgres_admin}"
            f"@127.0.0.1:{ports['postgres']}/marketing"
        ),
        "WAREHOUSE_URL": (
            f"postgresql://amato_admin:{secrets.postgres_admin}"
            f"@127.0.0.1:{ports['postgres']}/warehouse"
        ),
        "MONGO_URL": (
            f"mongodb://amato_admin:{secrets.mongo_admin}@127.0.0.1:{ports['mongo']}"
            "/clickstream?authSource=admin&directConnection=true"
        ),
        "AIRFLOW_URL": f"http://127.0.0.1:{ports['airflow']}",
        "AIRFLOW_USER": "admin",
        "AIRFLOW_PASSWORD": secrets.airflow_admin,
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports['mlflow']}",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": secrets.mlflow_admin,
    }
    environment = local.airflow_env()
    for name in ("MYSQL_SHOP", "POSTGRES_MARKETING", "MONGO_CLICKSTREAM", "WAREHOUSE"):
        uri = environment[f"AIRFLOW_CONN_{name}"]
        assert "://amato:" in uri
        assert "admin:" not in uri


def test_urls_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make up"):
        Stack(tmp_path / "none", environment={}).urls()
    assert not (tmp_path / "none").exists()


def test_airflow_environment(tmp_path: Path) -> None:
    local = stack(tmp_path, AMATO_FIRST_NIGHT="1998-07-01")
    environment = local.airflow_env()
    assert environment["AMATO_HOME"] == str(tmp_path / "stack" / "home")
    assert environment["PYTHONPATH"] == str(REPOSITORY)
    assert environment["AMATO_FIRST_NIGHT"] == "1998-07-01"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        assert environment[name] == local.urls()[name]
    # The server alone knows the login of MLflow's database.
    assert local.context.secrets.postgres_mlflow not in environment.values()
    knowing = [
        service.name
        for service in local._services(airflow=True)
        if any("amato_mlflow" in value for value in service.environment.values())
    ]
    assert knowing == ["mlflow"]


def test_every_airflow_setting_exists_in_the_installed_version(tmp_path: Path) -> None:
    from airflow.configuration import conf

    for name in stack(tmp_path).airflow_env():
        if name.startswith("AIRFLOW__") and "COSMOS" not in name:
            _, section, key = name.split("__")
            assert conf.configuration_description[section.lower()]["options"].get(key.lower()), name


def test_no_secret_on_a_command_line(tmp_path: Path) -> None:
    local = stack(tmp_path)
    secrets = set(local.context.secrets.__dict__.values())
    for service in local._services(airflow=True):
        line = " ".join(service.argv)
        assert not [secret for secret in secrets if secret in line], service.name


def test_connections_of_the_first_start_are_asked_for_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    shop = {"mysql": "mysql://u:p@db/shop"}
    keep_external(layout, shop)
    keep_external(layout, shop)
    with pytest.raises(StackError, match="AIRFLOW_CONN_MYSQL_SHOP was given"):
        keep_external(layout, {})
    with pytest.raises(StackError, match="AIRFLOW_CONN_WAREHOUSE was not given"):
        keep_external(layout, {**shop, "warehouse": "postgresql://u:p@db/w"})
    assert "p@db" not in layout.external.read_text()
