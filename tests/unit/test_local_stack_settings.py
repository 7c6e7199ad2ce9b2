"""Secrets, ports, folders and first-start settings of the local stack."""

import json
import os
import shutil
import socket
import stat
from collections import namedtuple
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from local_stack import airflow_setup, settings
from local_stack.layout import GIGABYTE, MAX_SOCKET_PATH_BYTES, Layout, StackError, write_private
from local_stack.stack import Stack


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "stack")
    made.make()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def listener(port: int = 0) -> socket.socket:
    server = socket.socket()
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_secrets_are_private_distinct_and_kept(layout: Layout) -> None:
    first = settings.load_secrets(layout)
    assert settings.load_secrets(layout) == first
    assert mode(layout.secrets) == 0o600
    values = list(first.__dict__.values())
    assert len(set(values)) == len(values)
    assert min(len(value) for value in values) >= 32


def test_secrets_stay_out_of_tracebacks() -> None:
    made = settings.Secrets.generate()
    assert made.mysql_admin not in repr(made)


def test_two_stacks_have_different_secrets() -> None:
    assert settings.Secrets.generate() != settings.Secrets.generate()


def test_fernet_key_encrypts() -> None:
    fernet = Fernet(settings.Secrets.generate().airflow_fernet)
    assert fernet.decrypt(fernet.encrypt(b"x")) == b"x"


def test_private_file_ignores_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_lost_secrets_of_existing_data_are_not_made_anew(layout: Layout) -> None:
    (layout.data / "postgres").mkdir()
    with pytest.raises(StackError, match=r"secrets\.json is missing.*make clean"):
        settings.load_secrets(layout)
    assert not layout.secrets.exists()


def test_a_platform_of_an_earlier_version_gets_the_secrets_it_lacks(layout: Layout) -> None:
    first = settings.load_secrets(layout)
    kept = {k: v for k, v in first.__dict__.items() if k not in settings.LATER_SECRETS}
    layout.secrets.write_text(json.dumps(kept))
    (layout.data / "postgres").mkdir()
    second = settings.load_secrets(layout)
    assert kept.items() <= second.__dict__.items()
    assert min(len(getattr(second, name)) for name in settings.LATER_SECRETS) >= 32
    assert settings.load_secrets(layout) == second
    assert mode(layout.secrets) == 0o600
    del kept["mysql_admin"]
    layout.secrets.write_text(json.dumps(kept))
    with pytest.raises(StackError, match=r"secrets\.json cannot be read.*make clean"):
        settings.load_secrets(layout)


def test_half_written_secrets_are_named(layout: Layout) -> None:
    layout.secrets.write_text('{"postgres_admin": "x"')
    with pytest.raises(StackError, match=r"secrets\.json cannot be read.*make clean"):
        settings.load_secrets(layout)


def test_ports_are_free_distinct_recorded_and_kept(layout: Layout) -> None:
    names = ["postgres", "mysql", "mongo", "airflow"]
    ports = settings.load_ports(layout, names)
    assert sorted(ports) == sorted(names)
    assert len(set(ports.values())) == 4
    assert all(settings.port_is_free(port) for port in ports.values())
    assert settings.load_ports(layout, names) == ports
    lines = layout.ports.read_text().splitlines()
    assert lines == [f"{name.upper()}={ports[name]}" for name in names]


def test_airflow_gets_another_port_when_8080_is_taken(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(settings, "AIRFLOW_PORT", taken)
        assert settings.load_ports(layout, ["airflow"])["airflow"] in settings.PORT_RANGE


def test_airflow_gets_its_port_when_it_is_free(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as server:
        free = server.getsockname()[1]
    monkeypatch.setattr(settings, "AIRFLOW_PORT", free)
    assert settings.load_ports(layout, ["airflow"]) == {"airflow": free}


def test_search_for_a_port_skips_those_in_use_and_wraps() -> None:
    last = len(settings.PORT_RANGE) - 1
    free = settings.choose_port(last, set())
    assert settings.choose_port(last, {free}) != free
    with listener(free):
        assert settings.choose_port(last, set()) != free


def test_unreadable_port_line_is_named(layout: Layout) -> None:
    layout.ports.write_text("POSTGRES=many\n")
    with pytest.raises(StackError, match=r"ports: the line 'POSTGRES=many'"):
        settings.load_ports(layout, ["postgres"])


def test_port_in_use_names_the_process_and_the_remedy(layout: Layout) -> None:
    with listener() as server:
        port = server.getsockname()[1]
        with pytest.raises(StackError) as caught:
            settings.check_port(layout, "mysql", port)
    message = str(caught.value)
    assert f"port {port} of mysql" in message
    assert f"(pid {os.getpid()})" in message
    assert "MYSQL=" in message
    assert "\n" not in message


def test_first_night_is_the_day_after_the_first_start_for_good(layout: Layout) -> None:
    before = datetime.now(UTC).date()
    night = settings.first_night(layout, {})
    assert before < night <= datetime.now(UTC).date() + timedelta(days=1)
    layout.settings.write_text(json.dumps({"first_night": "2020-02-29"}))
    assert settings.first_night(layout, {}) == date(2020, 2, 29)


@pytest.mark.parametrize("first", [date(2020, 2, 29), None])
def test_the_schedule_can_be_fixed(layout: Layout, first: date | None) -> None:
    assert settings.first_night(layout, {}) not in (first, None)
    settings.schedule_from(layout, first)
    assert settings.first_night(layout, {}) == first
    assert json.loads(layout.settings.read_text()) == {
        "first_night": None if first is None else "2020-02-29"
    }
    assert mode(layout.settings) == 0o600
    given = {"AMATO_FIRST_NIGHT": "1998-07-01"}
    assert settings.first_night(layout, given) == date(1998, 7, 1)


def test_first_night_can_be_given(layout: Layout) -> None:
    assert settings.first_night(layout, {"AMATO_FIRST_NIGHT": "1998-07-01"}) == date(1998, 7, 1)
    assert not layout.settings.exists()
    with pytest.raises(StackError, match="AMATO_FIRST_NIGHT='1998-7' is not a date"):
        settings.first_night(layout, {"AMATO_FIRST_NIGHT": "1998-7"})


def test_demo_mode_is_remembered_beside_the_schedule(layout: Layout) -> None:
    assert settings.demo_mode(layout, {}) is False
    assert not settings.keep_demo_mode(layout, {"DEMO": "0"})
    assert settings.keep_demo_mode(layout, {"DEMO": "1"})
    assert not settings.keep_demo_mode(layout, {})
    settings.schedule_from(layout, date(2020, 2, 29))
    assert settings.demo_mode(layout, {}) is True
    assert settings.first_night(layout, {}) == date(2020, 2, 29)
    assert settings.demo_mode(layout, {"DEMO": "0"}) is False
    assert settings.keep_demo_mode(layout, {"DEMO": "0"})
    assert settings.demo_mode(layout, {}) is False
    with pytest.raises(StackError, match="DEMO=yes"):
        settings.demo_mode(layout, {"DEMO": "yes"})


def test_damaged_settings_are_named(layout: Layout) -> None:
    for text in ("{", "[]", '{"first_night": 5}'):
        layout.settings.write_text(text)
        with pytest.raises(StackError, match=r"settings\.json cannot be read; delete it"):
            settings.first_night(layout, {})


def test_only_the_process_that_runs_tasks_learns_where_the_truth_is(layout: Layout) -> None:
    services = airflow_setup.services(layout, {"AIRFLOW_HOME": "x"})
    told = {service.name: service.environment.get("AMATO_TRUTH") for service in services}
    assert {name for name, path in told.items() if path} == {"airflow-scheduler"}
    assert told["airflow-scheduler"] == str(layout.truth)
    # The pages in the UI show files below AMATO_HOME, and nothing else.
    assert not layout.truth.is_relative_to(layout.home)


def test_clean_removes_the_truth(layout: Layout) -> None:
    (layout.truth / "defects.parquet").write_bytes(b"truth")
    Stack(layout.root, environment={}, say=lambda _: None).clean()
    assert not layout.truth.exists()


@pytest.mark.parametrize(
    ("free", "first", "ok"), [(3, True, True), (2, True, False), (2, False, True)]
)
def test_full_disk_is_one_clear_line(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, free: int, first: bool, ok: bool
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, free * GIGABYTE))
    if ok:
        layout.check_space(first)
        return
    with pytest.raises(
        StackError, match=r"disk nearly full: 2\.0 GB free.*3\.0 GB needed"
    ) as caught:
        layout.check_space(first)
    assert "\n" not in str(caught.value)


def test_private_folders(layout: Layout) -> None:
    for folder in (layout.run, layout.logs, layout.airflow, layout.home, layout.truth):
        assert mode(folder) == 0o700
    for folder in (layout.root, layout.data):
        assert mode(folder) == 0o711


def test_socket_of_a_deep_clone_is_in_a_private_short_folder(tmp_path: Path) -> None:
    shallow = Layout(tmp_path / "s")
    deep = Layout(tmp_path / ("d" * MAX_SOCKET_PATH_BYTES) / "s")
    deep.make()
    path = deep.supervisor_socket()
    try:
        assert shallow.supervisor_socket() == shallow.run / "supervisor.sock"
        assert len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES
        assert mode(path.parent) == 0o700
        assert deep.supervisor_socket() == path
    finally:
        path.parent.rmdir()
    assert deep.supervisor_socket() != path  # a cleaned /tmp is no obstacle
    deep.supervisor_socket().parent.rmdir()
