"""The local MongoDB server (a replica set of one member): clickstream, a source."""

import shutil
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from local_stack.layout import StackError, write_private
from local_stack.service import Context, Service, find_binary
from local_stack.settings import LOOPBACK

NAME = "mongo"
ADMIN = "amato_admin"
LOGIN = "amato"
DATABASE = "clickstream"
REPLICA_SET = "amato"
AUTHENTICATION_FAILED = 18
OPTIONS = "authSource=admin&directConnection=true"


def initialise(context: Context) -> None:
    """Make the data folder and the members' key file."""
    folder = context.layout.data / NAME
    if not folder.exists():
        context.account.fresh_folder(folder)
    key = _key_file(context)
    write_private(key, context.secrets.mongo_keyfile + "\n")
    context.account.own(key)


def _key_file(context: Context) -> Path:
    return context.layout.data / f"{NAME}.key"


def service(context: Context) -> Service:
    """The server process: `mongod` on PATH, else the one that `make install` unpacked."""
    environment = {}
    binary = shutil.which("mongod")
    if binary is None:
        tools = context.layout.tools
        binary = find_binary("mongod", [tools / "fiftyone" / "db" / "bin"], "mongodb-org-server")
        # That build wants OpenSSL 1.1, which the wheel beside it carries.
        environment["LD_LIBRARY_PATH"] = str(tools / "mysql" / "vendor")
    argv = (
        binary,
        f"--dbpath={context.layout.data / NAME}",
        f"--bind_ip={LOOPBACK}",
        f"--port={context.ports[NAME]}",
        f"--replSet={REPLICA_SET}",
        f"--keyFile={_key_file(context)}",
        "--nounixsocket",
        "--wiredTigerCacheSizeGB=1",
        "--oplogSize=1024",
    )
    return Service(NAME, context.account.wrap(argv), environment)


def url(context: Context, login: str = ADMIN) -> str:
    """URL of the clickstream database for one of the server's users."""
    password = {ADMIN: context.secrets.mongo_admin, LOGIN: context.secrets.mongo_amato}[login]
    place = f"{LOOPBACK}:{context.ports[NAME]}"
    return f"mongodb://{login}:{password}@{place}/{DATABASE}?{OPTIONS}"


def _client(context: Context, **options: Any) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        LOOPBACK,
        context.ports[NAME],
        directConnection=True,
        serverSelectionTimeoutMS=2000,
        **options,
    )


def _admin(context: Context) -> MongoClient[dict[str, Any]]:
    return _client(
        context, username=ADMIN, password=context.secrets.mongo_admin, authSource="admin"
    )


def _make_first_user(context: Context) -> str | None:
    """Initiate the replica set and create the administrator.

    Works only until that user exists: MongoDB lets an unauthenticated loopback client do these
    two things and no others.
    """
    with _client(context) as client:
        try:
            hello = client.admin.command("hello")
            if "setName" not in hello:
                member = {"_id": 0, "host": f"{LOOPBACK}:{context.ports[NAME]}"}
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
            if not client.admin.command("hello")["isWritablePrimary"]:
                return "waiting for the replica set's election"
            client.admin.command(
                "createUser",
                ADMIN,
                pwd=context.secrets.mongo_admin,
                roles=[{"role": "root", "db": "admin"}],
            )
        except AutoReconnect as error:
            return str(error)
        except OperationFailure as error:
            raise StackError(
                f"MongoDB refuses the password in {context.layout.secrets}: it was made for "
                "other data; put the right file back, or start afresh with `make clean`"
            ) from error
    return None


def _follow_port(client: MongoClient[dict[str, Any]], port: int) -> None:
    """Tell the replica set its address when another port was chosen since."""
    config = client.admin.command("replSetGetConfig")["config"]
    host = f"{LOOPBACK}:{port}"
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def check(context: Context) -> str | None:
    """None when the server is a writable primary for its administrator, else why it is not (yet).

    Initiates the replica set and creates the administrator when they are missing.
    """
    try:
        with _admin(context) as client:
            _follow_port(client, context.ports[NAME])
            if client.admin.command("hello")["isWritablePrimary"]:
                return None
            return "waiting for the replica set's election"
    except OperationFailure as error:
        if error.code == AUTHENTICATION_FAILED:
            return _make_first_user(context) or "administrator created"
        return str(error)
    except PyMongoError as error:
        return str(error)


def provision(context: Context) -> None:
    """Create the login that Airflow's connection uses."""
    roles = [{"role": "readWrite", "db": DATABASE}]
    with _admin(context) as client:
        known = client.admin.command("usersInfo", LOGIN)["users"]
        if not known:
            password = context.secrets.mongo_amato
            client.admin.command("createUser", LOGIN, pwd=password, roles=roles)
