"""Finds and sends files of one folder, and never one that lies outside it."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

# Shown as text in the browser; the rest is typed by its name or offered as a download.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".yaml": "text/plain; charset=utf-8",
    ".yml": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}
DOWNLOADS = {".parquet"}
# A page is made again every night under the same address: always ask whether it is the newest.
# Pages may run their own scripts and reach this server, and nothing beyond it.
HEADERS = {
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
}


def find(folder: Path, name: str) -> Path | None:
    """The file that `name` names inside `folder`, or None.

    Hidden files, and whatever leaves the folder by ``..`` or a link, are not found. A folder
    stands for its ``index.html``.
    """
    parts = [part for part in name.split("/") if part]
    if "\0" in name or any(part.startswith(".") or "\\" in part for part in parts):
        return None
    root = folder.resolve()
    try:
        path = root.joinpath(*parts).resolve()
        if path.is_dir():
            path = (path / "index.html").resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except OSError:  # a name that the file system does not take, such as one that is too long
        return None


def send(request: Request, path: Path) -> Response:
    """The file, or 304 where the browser has this version of it."""
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    response = FileResponse(
        path,
        stat_result=path.stat(),
        media_type=kind or "application/octet-stream",
        headers=HEADERS,
        filename=path.name if path.suffix in DOWNLOADS else None,
    )
    if response.headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**HEADERS, "ETag": response.headers["etag"]})
    return response
