"""The tables of MLflow's server and of its logins, in the database that MLFLOW_BACKEND_STORE_URI names.

    python mlflow_store.py migrate    make them, or bring them to the version of the MLflow that is installed
    python mlflow_store.py wait       return when somebody has done so

Servers that start on an empty database at once break each other's migration, so one job does it and servers wait. Who connects,
and with which password, is libpq's to know (PGHOST, PGUSER, PGPASSWORD).
"""

import os
import subprocess
import sys
import time

from mlflow.store.db import utils
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import OperationalError

_INTERVAL = 3
"""Seconds between two looks."""


def migrate(engine: Engine) -> None:
    """Make or upgrade the tables of the server, then those of its logins."""
    if inspect(engine).has_table("experiments"):
        utils._upgrade_db(engine)
    else:
        utils._initialize_tables(engine)
    url = engine.url.render_as_string(hide_password=False)
    subprocess.run([sys.executable, "-m", "mlflow.server.auth", "db", "upgrade", "--url", url], check=True)


def is_current(engine: Engine) -> bool:
    """Whether the tables are those of the MLflow that is installed; the logins' come last."""
    tables = inspect(engine)
    return (
        tables.has_table("alembic_version")
        and tables.has_table("alembic_version_auth")
        and utils._get_schema_version(engine) == utils._get_latest_schema_revision()
    )


def main() -> int:
    engine = create_engine(os.environ["MLFLOW_BACKEND_STORE_URI"])
    while True:
        try:
            if sys.argv[1:] == ["migrate"]:
                migrate(engine)
                return 0
            if is_current(engine):
                return 0
            print("waiting for the tables to be made or upgraded", flush=True)
        except OperationalError as error:
            print(f"waiting for the database: {str(error.orig).splitlines()[0]}", flush=True)
        time.sleep(_INTERVAL)


if __name__ == "__main__":
    if sys.argv[1:] not in (["migrate"], ["wait"]):
        sys.exit(__doc__)
    sys.exit(main())
