"""The server of the UI's pages: one page that tells where the backend is. The real pages are in an image that cannot be had here."""

from __future__ import annotations

import html
import os
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from .settings import number
from .web import serve

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Metaflow UI</title></head>
<body><div id="root" data-metaflow-service="{service}">Metaflow UI: the backend is at <a href="{service}/flows">{service}</a>.</div></body>
</html>
"""


async def page(request: Request) -> Response:
    """The same page for every path, as a single-page application answers. METAFLOW_SERVICE is the backend as the browser sees it."""
    return HTMLResponse(PAGE.format(service=html.escape(os.environ.get("METAFLOW_SERVICE", "/api").rstrip("/"))))


def app() -> Starlette:
    return Starlette(routes=[Route("/{path:path}", page)])


if __name__ == "__main__":
    sys.exit(serve(app, os.environ.get("HOST", "0.0.0.0"), number(os.environ, "PORT", 3000)))  # noqa: S104  as the real one
