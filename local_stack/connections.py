"""Which of the four connections are given from outside, and Airflow's form of all of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from local_stack.layout import Layout, StackError, write_private


@dataclass(frozen=True)
class ConnectionKind:
    """One of the platform's connections.

    `variable` is Airflow's environment variable for it, `schemes` the URL schemes that it may
    have there; `url_name` is its variable in `make env`, whose URL has the scheme `scheme`.
    """

    name: str
    variable: str
    schemes: tuple[str, ...]
    scheme: str
    url_name: str


KINDS = (
    ConnectionKind("mysql", "AIRFLOW_CONN_MYSQL_SHOP", ("mysql",), "mysql", "MYSQL_URL"),
    ConnectionKind(
        "postgres",
        "AIRFLOW_CONN_POSTGRES_MARKETING",
        ("postgres", "postgresql"),
        "postgresql",
        "MARKETING_URL",
    ),
    ConnectionKind(
        "mongo",
        "AIRFLOW_CONN_MONGO_CLICKSTREAM",
        ("mongo", "mongodb", "mongodb+srv"),
        "mongodb",
        "MONGO_URL",
    ),
    ConnectionKind(
        "warehouse",
        "AIRFLOW_CONN_WAREHOUSE",
        ("postgres", "postgresql"),
        "postgresql",
        "WAREHOUSE_URL",
    ),
)


def external(environment: Mapping[str, str]) -> dict[str, str]:
    """URLs of the connections that `environment` gives, by kind name.

    Takes both forms that Airflow takes: a URI, or a JSON object. Raises StackError, naming the
    variable but not its value (it holds a password), when it is neither.
    """
    return {
        kind.name: connection_url(kind, environment[kind.variable])
        for kind in KINDS
        if environment.get(kind.variable)
    }


def keep_external(layout: Layout, given: Mapping[str, str]) -> None:
    """Remember at the first start which connections are given, and hold later starts to it.

    A shell that lacks one would have an empty local server read in its place, and the night
    would take every row of the real one for deleted.

    Raises:
        StackError: another set of connections is given now; the message names them.
    """
    names = sorted(given)
    if not layout.external.exists():
        write_private(layout.external, json.dumps(names) + "\n")
        return
    kept = json.loads(layout.external.read_text())
    variables = {kind.name: kind.variable for kind in KINDS}
    missing = [variables[name] for name in kept if name not in given]
    added = [variables[name] for name in names if name not in kept]
    if missing:
        raise StackError(
            f"{', '.join(missing)} was given when this platform was made: give it again, or "
            "start afresh with `make clean`"
        )
    if added:
        raise StackError(
            f"{', '.join(added)} was not given when this platform was made, and its local server "
            "holds data: unset it, or start afresh with `make clean`"
        )


def connection_url(kind: ConnectionKind, value: str) -> str:
    """The value of an AIRFLOW_CONN_* variable as a plain URL."""
    url = _from_json(kind, value) if value.lstrip().startswith("{") else value
    try:
        parts = urlsplit(url)
        complete = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        complete = False
    if not complete or parts.scheme not in kind.schemes:
        raise StackError(
            f"{kind.variable} is not a {kind.scheme} connection: give a URI like "
            f"{kind.scheme}://user:password@host:port/database, or Airflow's JSON form"
        )
    query = dict(parse_qsl(parts.query))
    scheme = kind.scheme
    if kind.name == "mongo" and (
        parts.scheme.endswith("+srv") or query.pop("srv", "false").lower() == "true"
    ):
        scheme = "mongodb+srv"
    return parts._replace(scheme=scheme, query=urlencode(query)).geturl()


def _from_json(kind: ConnectionKind, value: str) -> str:
    try:
        fields = json.loads(value)
        extra = fields.get("extra") or {}
        if isinstance(extra, str):
            extra = json.loads(extra)
        login = quote(fields.get("login") or "", safe="")
        password = quote(fields.get("password") or "", safe="")
        port = f":{int(fields['port'])}" if fields.get("port") else ""
        query = urlencode({key: _text(item) for key, item in extra.items()})
        return (
            f"{fields.get('conn_type', kind.scheme)}://{login}:{password}@{fields['host']}{port}"
            f"/{fields.get('schema') or ''}{'?' + query if query else ''}"
        )
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StackError(
            f"{kind.variable} is not a connection in Airflow's JSON form "
            "(conn_type, host, port, login, password, schema, extra)"
        ) from error


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def airflow_uri(kind: ConnectionKind, url: str) -> str:
    """A local URL in the form that Airflow's connection variables take."""
    scheme = "mongo" if kind.name == "mongo" else kind.scheme
    return urlsplit(url)._replace(scheme=scheme).geturl()
