"""Who may see a page: the user of the UI's own session, or of a bearer token."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AccessView,
    DagAccessEntity,
    DagDetails,
)
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer


class LoginNeededError(Exception):
    """A browser without a valid session asked for a page: send it to the login first."""

    def __init__(self, address: str) -> None:
        super().__init__("login needed")
        self.address = address


async def current_user(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> BaseUser:
    """The signed-in user.

    Raises:
        LoginNeededError: a browser asks, and has no valid session.
        HTTPException: 401 or 403 to any other client without valid credentials.
    """
    try:
        return await get_user(request, None, bearer)
    except HTTPException as refused:
        if bearer is None and "text/html" in request.headers.get("accept", ""):
            here = str(request.url)
            login = get_auth_manager().get_url_login(next_url=here)
            raise LoginNeededError(login or f"/?next={quote(here, safe='')}") from refused
        raise


User = Annotated[BaseUser, Depends(current_user)]


def reader(user: User) -> BaseUser:
    """A user who may read the documentation that Airflow shows.

    Raises:
        HTTPException: 403 where the user's role may not.
    """
    if not get_auth_manager().is_authorized_view(access_view=AccessView.DOCS, user=user):
        raise HTTPException(403, "Your role may not read these pages. Ask for the role Viewer.")
    return user


def run_reader(dag_id: str, user: User) -> BaseUser:
    """A user who may see the runs of the DAG in the path.

    Raises:
        HTTPException: 403 where the user's role may not.
    """
    details = DagDetails(id=dag_id)
    if not get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=details, user=user
    ):
        raise HTTPException(403, f"Your role may not see the runs of {dag_id}.")
    return user
