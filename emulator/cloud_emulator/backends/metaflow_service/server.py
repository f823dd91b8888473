"""The metadata service: `python -m cloud_emulator.backends.metaflow_service.server`, configured as the real one by the environment."""

from __future__ import annotations

import os
import sys

from starlette.applications import Starlette
from starlette.routing import Route

from . import metadata
from .database import Database
from .settings import number
from .web import healthcheck, ping, serve, version


def app() -> Starlette:
    """The application. Raises UnusableDatabaseError where the database cannot be reached or has not been migrated."""
    admin = [Route("/ping", ping), Route("/version", version), Route("/healthcheck", healthcheck)]
    application = Starlette(routes=admin + metadata.routes())
    application.state.database = Database(triggers=os.environ.get("DB_TRIGGER_CREATE") == "1")
    return application


if __name__ == "__main__":
    sys.exit(serve(app, os.environ.get("MF_METADATA_HOST", "0.0.0.0"), number(os.environ, "MF_METADATA_PORT", 8080)))  # noqa: S104  as the real one
