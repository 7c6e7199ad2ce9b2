"""docker-compose.yml and Dockerfile: valid, locked down, and naming only what exists."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from local_stack import (
    airflow_setup,
    compose_init,
    connections,
    mlflow_setup,
    postgres_server,
)
from local_stack.compose_secrets import write_compose_secrets
from local_stack.layout import Layout
from local_stack.settings import Secrets

REPOSITORY = Path(__file__).resolve().parents[2]
COMPOSE = REPOSITORY / "docker-compose.yml"
DOCKERFILE = REPOSITORY / "Dockerfile"
SCHEMA = REPOSITORY / "tests" / "data" / "compose-spec.json"
TEXT = COMPOSE.read_text()
MODEL: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = MODEL["services"]
AIRFLOW = {name: s for name, s in SERVICES.items() if s["image"].startswith("amato:")}
LONG_RUNNING = sorted(SERVICES.keys() - {"init"})
INTERPOLATION = re.compile(r"(?<!\$)\$(?:\{([^}]*)\}|(\w+))")


def strings(node: object) -> Iterator[str]:
    """Every text in a part of the model."""
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    else:
        yield str(node)


def words(service: dict[str, Any], key: str) -> list[str]:
    """A command, as the list of its words."""
    value = service.get(key, [])
    assert isinstance(value, list), f"{key} as a list needs no shell"
    return value


def test_it_is_valid_compose() -> None:
    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert [e.message for e in validator.iter_errors(MODEL)] == []
    # The schema is a real one: a misspelt key is found.
    broken = {"services": {"x": {"image": "y", "healthchek": {}}}}
    assert not validator.is_valid(broken)


def test_all_services_of_the_platform_are_there() -> None:
    assert set(SERVICES) == {
        *("postgres", "mysql", "mongo", "redis", "init", "worker", "mlflow"),
        *airflow_setup.COMPONENTS,
    }
    for name, service in AIRFLOW.items():
        if name != "init":
            assert service["depends_on"]["init"] == {"condition": "service_completed_successfully"}


def test_every_variable_is_required_and_written_by_make_secrets(tmp_path: Path) -> None:
    used = [braces or bare for braces, bare in INTERPOLATION.findall(TEXT)]
    assert used
    plain = [entry for entry in used if not entry.endswith(":?run 'make secrets' first")]
    assert plain == [], "a variable may not be unset, empty or defaulted"
    write_compose_secrets(tmp_path / ".env")
    written = dict(
        line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines() if "=" in line
    )
    assert set(written) == {entry.partition(":")[0] for entry in used}
    assert all(written.values())
    assert not any("$" in value or "'" in value for value in written.values())
    in_urls = {n for line in TEXT.splitlines() for n in re.findall(r":\$\{(\w+):\?[^}]*\}@", line)}
    assert len(in_urls) >= 6
    for name in in_urls:
        assert re.fullmatch(r"[A-Za-z0-9_-]{32,}", written[name]), f"{name} needs URL quoting"
    assert written["AIRFLOW_UID"] != "0"


def test_no_password_is_written_out() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|FERNET|KEYFILE", name) and not name.endswith("_FILE"):
                assert str(value).startswith("${"), name
    # No literal behind "user:" in a URL either.
    for text in strings(MODEL):
        for password in re.findall(r"://[^:/@]*:([^@]*)@", text):
            assert password.startswith("${"), text


def test_no_password_on_a_command_line() -> None:
    for name, service in SERVICES.items():
        test = service.get("healthcheck", {}).get("test", [])
        for word in [*words(service, "command"), *words(service, "entrypoint"), *test]:
            assert not INTERPOLATION.search(word), f"{name}: {word}"
    # In a shell line a password is only ever set as a variable of the one command.
    shell = " ".join(SERVICES[n]["healthcheck"]["test"][1] for n in ("mysql", "redis"))
    assert re.findall(r'(\S+)="?\$\$\w*PASSWORD', shell) == ["MYSQL_PWD", "REDISCLI_AUTH"]


def test_images_are_pinned_to_a_full_version() -> None:
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    images = {service["image"] for service in SERVICES.values()}
    assert len(stages) == 2
    for image in [*images, *stages]:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z0-9-]+)?", image), image
        assert re.search(r":(16\.\d+|\d+\.\d+\.\d+)", image), f"{image}: name the patch version"
    for wanted in ("postgres:16.", "mysql:8.4.", "mongo:7.", "redis:7."):
        assert any(image.startswith(wanted) for image in images)
    assert {tuple(s["build"].items()) for s in AIRFLOW.values()} == {
        (("context", "."), ("dockerfile", "Dockerfile"))
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    user, _, group = service["user"].rpartition(":")
    assert user in ("999", "${AIRFLOW_UID:?run 'make secrets' first}")
    assert group in ("999", "0")
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["restart"] == ("no" if name == "init" else "unless-stopped")
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), f"{port} listens to the world"
    for place in service.get("tmpfs", []):
        assert place.startswith("/run/amato:") and place.endswith("mode=0700")
    assert re.search(r"^USER 50000:0$", DOCKERFILE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_long_running_service_has_a_health_check(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL") and "disable" not in check
    assert {"interval", "timeout", "retries"} <= check.keys()


def test_what_depends_waits_for_health() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "completed_successfully" if other == "init" else "healthy"
            assert how == {"condition": f"service_{wanted}"}, (name, other)
            assert other in SERVICES


def test_no_circle_of_dependencies() -> None:
    def above(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, path
        for other in SERVICES[name].get("depends_on", {}):
            above(other, (*path, name))

    for name in SERVICES:
        above(name, ())


def test_every_mounted_file_and_volume_exists() -> None:
    named, mounted = set(), 0
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, target, *mode = volume.split(":")
            assert target.startswith("/")
            if source.startswith("./"):
                assert (REPOSITORY / source).is_file(), source
                assert mode == ["ro"], volume
                mounted += 1
            else:
                named.add(source)
    assert mounted >= 5
    assert named == set(MODEL["volumes"])
    for name, service in AIRFLOW.items():
        assert "amato-home:/amato/home" in service["volumes"], name
        assert service["environment"]["AMATO_HOME"] == "/amato/home"


def dockerfile_copies() -> list[tuple[str, str]]:
    copies = []
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            *sources, target = line.split()[1:]
            copies += [(source, target) for source in sources]
    return copies


def test_every_copied_file_exists_and_is_not_ignored() -> None:
    kept = [
        line[1:]
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copies = dockerfile_copies()
    assert len(copies) > 10
    for source, _ in copies:
        assert (REPOSITORY / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in kept), source
    for name in kept:
        assert (REPOSITORY / name).exists(), name
        assert any(s == name or s.startswith(f"{name}/") for s, _ in copies), f"{name}: not used"
    assert (REPOSITORY / ".dockerignore").read_text().splitlines()[1] == "*"


def in_image(path: str) -> Path:
    """The project's file that a path in the image is."""
    inside = path.removeprefix("/opt/amato/")
    copied = [s for s, t in dockerfile_copies() if inside == t or inside.startswith(f"{t}/")]
    assert copied, f"{path} is not copied into the image"
    return REPOSITORY / inside


def test_every_path_in_the_image_exists() -> None:
    text = TEXT + DOCKERFILE.read_text().partition("WORKDIR")[2]
    paths = set(re.findall(r"/opt/amato/[\w./-]+", text))
    assert len(paths) >= 4
    for path in paths:
        assert in_image(path).exists(), path


def test_every_project_folder_that_code_imports_is_in_the_image() -> None:
    targets = {target for _, target in dockerfile_copies()}
    packages = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")} - {"tests"}
    assert packages <= targets


def test_the_shop_takes_the_files_that_the_generator_loads() -> None:
    assert "--local-infile=1" in words(SERVICES["mysql"], "command")


def test_commands_exist() -> None:
    airflow_commands = []
    for name, service in AIRFLOW.items():
        command = words(service, "command")
        if command[0] == "python":
            assert command[1] == "-m"
            assert in_image(f"/opt/amato/{command[2].replace('.', '/')}.py").exists()
            assert importlib.util.find_spec(command[2]), name
        else:
            assert command[0] == "airflow"
            airflow_commands.append(tuple(command[1:]))
    assert sorted(airflow_commands) == [
        ("api-server",),
        ("celery", "worker", "--skip-serve-logs"),
        ("dag-processor",),
        ("scheduler", "--skip-serve-logs"),
        ("triggerer", "--skip-serve-logs"),
    ]


def test_airflow_takes_these_commands_and_its_celery_executor_loads(tmp_path: Path) -> None:
    code = """
import json, sys
from airflow.cli.cli_parser import get_parser
from airflow.executors.executor_loader import ExecutorLoader
from airflow.providers.celery.executors.celery_executor import app
from celery.app.backends import by_url
parser = get_parser()
for command in json.loads(sys.argv[1]):
    parser.parse_args(command)
executor, _ = ExecutorLoader.import_default_executor_cls()
backend, url = by_url(app.conf.result_backend)
print(executor.__name__, backend.__name__, url.partition("://")[0], app.conf.broker_url)
"""
    celery = {
        name: re.sub(r"\$\{[^}]*\}", "x", str(value))
        for name, value in SERVICES["worker"]["environment"].items()
        if name.startswith(("AIRFLOW__CELERY", "AIRFLOW__CORE__EXECUTOR"))
    }
    commands = [
        service["command"][1:] for service in AIRFLOW.values() if service["command"][0] == "airflow"
    ]
    result = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        env={**os.environ, **celery, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.split()[-4:] == [
        "CeleryExecutor",
        "DatabaseBackend",
        "postgresql+psycopg2",
        "redis://:x@redis:6379/0",
    ]


def test_airflow_is_set_up_as_in_local_mode(tmp_path: Path) -> None:
    secrets = Secrets(**{field.name: "x" for field in fields(Secrets)})
    local = airflow_setup.settings(Layout(tmp_path), secrets, 8080, "postgresql://h/airflow")
    own_to_containers = {
        "AIRFLOW__CELERY__BROKER_URL",
        "AIRFLOW__CELERY__RESULT_BACKEND",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT",
    }
    given_by_the_stack = {"AMATO_EXTERNAL", "AMATO_FIRST_NIGHT", "AMATO_DEMO"}
    common = MODEL["x-airflow-environment"]
    assert set(common) == set(local) | own_to_containers | given_by_the_stack
    differs = {name for name in local if str(common[name]) != local[name]}
    assert differs == {
        "AIRFLOW_HOME",
        "AMATO_HOME",
        "PYTHONPATH",
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__PLUGINS_FOLDER",
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__PARALLELISM",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
        "AIRFLOW__API__HOST",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
    }
    assert set(SERVICES["worker"]["environment"]) - set(common) == {
        "AMATO_TRUTH",
        *mlflow_setup.client_environment(5000, "x"),
        *(kind.variable for kind in connections.KINDS),
    }


def test_the_truth_is_where_tasks_run_and_nowhere_else() -> None:
    reaching = {
        name
        for name, service in SERVICES.items()
        if any("truth" in text for text in strings([service.get(k) for k in service]))
    }
    assert reaching == {"worker"}
    truth = Path(SERVICES["worker"]["environment"]["AMATO_TRUTH"])
    # The ledger is replaced by a rename, which its own mount point could not take part in.
    assert truth.parent == Path("/amato/truth")
    assert "amato-truth:/amato/truth" in SERVICES["worker"]["volumes"]
    assert not truth.is_relative_to(SERVICES["worker"]["environment"]["AMATO_HOME"])
    assert " /amato/truth " in DOCKERFILE.read_text()


def test_every_host_and_port_in_a_url_is_a_service_that_listens_there() -> None:
    listens = {
        **{"postgres": 5432, "mysql": 3306, "mongo": 27017, "redis": 6379},
        **{"api-server": 8080, "mlflow": 5000},
    }
    found = set()
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            plain = re.sub(r"\$\{[^}]*\}", "x", str(value))
            for host, port in re.findall(r"://(?:[^@/]*@)?([\w.-]+):(\d+)", plain):
                if host == "127.0.0.1":
                    assert variable == "AIRFLOW__API__BASE_URL"
                    assert f"127.0.0.1:{port}:{port}" in SERVICES["api-server"]["ports"]
                    continue
                assert listens[host] == int(port), (name, variable)
                found.add(host)
    assert found == set(listens)
    published = {n: s["ports"][0].split(":")[-1] for n, s in SERVICES.items() if "ports" in s}
    assert published == {n: str(p) for n, p in listens.items() if n != "redis"}


def test_logins_and_databases_are_those_of_local_mode() -> None:
    script = (REPOSITORY / "docker/postgres/databases.sh").read_text()
    made = set(re.findall(r"create (role|database) (\w+)", script))
    assert made == {
        ("role", postgres_server.LOGIN),
        ("role", postgres_server.AIRFLOW_LOGIN),
        ("database", "marketing"),
        ("database", "airflow"),
    }
    postgres = SERVICES["postgres"]["environment"]
    assert (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]) == ("amato_admin", "warehouse")
    # Every variable that a script reads is given to its container.
    for service in ("postgres", "mongo", "redis"):
        for path in (REPOSITORY / "docker" / service).iterdir():
            read = re.findall(
                r"\$\{?([A-Z_]{4,})|process\.env\.(\w+)|\\getenv \w+ (\w+)|unset (\w+)",
                path.read_text(),
            )
            for name in {part for parts in read for part in parts if part}:
                assert name in SERVICES[service]["environment"], (path.name, name)
    own = {compose_init.LOADER_URL, compose_init.MLFLOW_URL}
    assert set(compose_init.URLS.values()) | own <= set(SERVICES["init"]["environment"])


def test_mlflow_is_set_up_as_in_local_mode_and_alone_knows_its_password(tmp_path: Path) -> None:
    environment = SERVICES["mlflow"]["environment"]
    local = mlflow_setup.service(Layout(tmp_path), 5000, "postgresql://h/mlflow", "x")
    assert set(environment) - set(local.environment) == {
        "AMATO_HOME",
        "MLFLOW_SERVER_ALLOWED_HOSTS",
    }
    assert mlflow_setup.SETTINGS.items() <= environment.items()
    assert words(SERVICES["mlflow"], "command")[:3] == ["python", *local.argv[1:3]]
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"].startswith("file:///amato/home/")
    prefix = f"postgresql+psycopg2://{postgres_server.MLFLOW_LOGIN}:"
    assert environment["MLFLOW_BACKEND_STORE_URI"].startswith(prefix)
    # Its clients are named in the Host header that it accepts.
    client = SERVICES["worker"]["environment"]
    assert client["MLFLOW_TRACKING_USERNAME"] == mlflow_setup.USER
    assert client["MLFLOW_TRACKING_PASSWORD"] == environment["AMATO_MLFLOW_PASSWORD"]
    assert client["MLFLOW_TRACKING_URI"].removeprefix("http://") in environment[
        "MLFLOW_SERVER_ALLOWED_HOSTS"
    ].split(",")
    knowing = {name for name in SERVICES if "POSTGRES_MLFLOW" in " ".join(strings(SERVICES[name]))}
    assert knowing == {"mlflow", "init"}


def test_only_init_and_the_servers_know_the_administrators_passwords() -> None:
    for name in set(AIRFLOW) - {"init"}:
        text = " ".join(strings(SERVICES[name]))
        for secret in ("POSTGRES_ADMIN", "MONGO_ADMIN", "MYSQL_ROOT"):
            assert secret not in text, name
    assert "AIRFLOW_ADMIN_PASSWORD" in SERVICES["api-server"]["environment"]


def test_helper_scripts_are_sound(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell
    scripts = sorted((REPOSITORY / "docker").rglob("*.sh"))
    assert len(scripts) == 4
    for script in scripts:
        subprocess.run([shell, "-n", str(script)], check=True)
        assert "set -eu" in script.read_text()
    ast.parse((REPOSITORY / "docker/airflow/health.py").read_text())


def test_the_entrypoint_writes_the_password_privately(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords.json"
    shown = subprocess.run(
        ["sh", str(REPOSITORY / "docker/airflow/entrypoint.sh"), "env"],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "AIRFLOW_ADMIN_PASSWORD": 'quo"te',
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(passwords.read_text()) == {airflow_setup.USER: 'quo"te'}
    assert passwords.stat().st_mode & 0o777 == 0o600
    assert "AIRFLOW_ADMIN_PASSWORD" not in shown.stdout


@pytest.mark.parametrize(("status", "code"), [("healthy", 0), ("unhealthy", 1)])
def test_the_health_check_reads_airflows_report(status: str, code: int, tmp_path: Path) -> None:
    report = tmp_path / "health.json"
    report.write_text(json.dumps({"scheduler": {"status": status}}))
    script = (REPOSITORY / "docker/airflow/health.py").read_text()
    address = re.search(r'URL = "(http://api-server:8080(.*))"', script)
    assert address and address[2] == "/api/v2/monitor/health"
    local = tmp_path / "health.py"
    local.write_text(script.replace(address[1], report.as_uri()))
    result = subprocess.run([sys.executable, str(local), "scheduler"], check=False)
    assert result.returncode == code
