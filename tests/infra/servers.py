"""An MLflow server as infra/ installs it: PostgreSQL behind it, logins, artifacts in a bucket of an S3 server."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.cluster.go_servers import S3, Server, Unavailable, free_port, serving, versitygw
from tests.infra.manifests import KUBERNETES

BASE = KUBERNETES / "base"
BACKUP = KUBERNETES / "components" / "backup"
PROJECT = Path(__file__).parents[2]


@contextmanager
def postgresql() -> Iterator[dict[str, str]]:
    """A PostgreSQL server that demands a password: what libpq's environment has to say. It has no database of ours.

    Raises:
        Unavailable: there is none on this machine, or no driver.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    bin_folder = programs[-1].parent if programs else Path(shutil.which("initdb") or "/none").parent
    if not (bin_folder / "initdb").exists():
        raise Unavailable("there is no PostgreSQL here")
    for module in ("psycopg", "flask_wtf"):
        if not find_spec(module):
            raise Unavailable(f"{module} is not installed: the extra [server]")
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="visage-postgresql-"))
    try:
        (folder / "password").write_text("only-for-tests")
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user, user)
        port, data = free_port(), folder / "data"
        subprocess.run(
            [
                bin_folder / "initdb",
                "--auth=scram-sha-256",
                "--username=visage",
                f"--pwfile={folder / 'password'}",
                "-D",
                data,
            ],
            user=user,
            check=True,
            capture_output=True,
            cwd=folder,
        )
        command = [
            str(bin_folder / "postgres"),
            "-D",
            str(data),
            f"-p{port}",
            "-h127.0.0.1",
            f"-k{folder}",
            "-cfsync=off",
        ]
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        with serving(command, port, folder / "log"):
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(port),
                "PGUSER": "visage",
                "PGPASSWORD": "only-for-tests",
                "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Installation:
    """A database, a bucket and the environment of an MLflow server on them, and of the pipeline that is its client.

    Attributes:
        database: name of the PostgreSQL database.
        bucket: of the S3 server.
        environment: of the server, as the manifests give it.
        client: of the pipeline.
        port: where the server listens.
        folder: for its log.
    """

    database: str
    bucket: str
    environment: dict[str, str]
    client: dict[str, str]
    port: int
    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def artifacts(self) -> str:
        return f"s3://{self.bucket}/artifacts"

    def run(self, *command: str | Path, **more: str) -> str:
        """What a command prints, run with the server's environment; fails where it does."""
        completed = subprocess.run(
            [str(word) for word in command],
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    def kill(self) -> None:
        """Kill -9 the server, with all that it has started."""
        self.stack.close()

    def start(self) -> Server:
        """Start the server, as the Deployment of the manifests does."""
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1", "--serve-artifacts"]
        log = self.folder / "mlflow.log"
        return self.stack.enter_context(serving(command, self.port, log, self.environment, within=180))

    def make_tables_and_login(self) -> None:
        """What the Jobs of the manifests do: mlflow-migrate before the server starts, mlflow-users after it."""
        self.run(sys.executable, BASE / "mlflow_store.py", "migrate")
        self.start()
        self.run(sys.executable, BASE / "mlflow_users.py", **self.client)


@contextmanager
def installed(database: str, bucket: str, postgres: Mapping[str, str], s3: S3, folder: Path) -> Iterator[Installation]:
    """An empty database and an empty bucket, of servers that run; whatever is started on them ends with this."""
    folder.mkdir()
    (s3.folder / bucket).mkdir()
    subprocess.run(["createdb", database], env=os.environ | dict(postgres), check=True)
    port = free_port()
    client = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "MLFLOW_TRACKING_USERNAME": "pipeline",
        "MLFLOW_TRACKING_PASSWORD": "the pipeline's own password",
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_", "PG"))}
    own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")]))
    environment = {
        **own,
        **postgres,
        **s3.environment,
        "MLFLOW_S3_ENDPOINT_URL": s3.environment["AWS_ENDPOINT_URL"],
        "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg:///{database}",
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{bucket}/artifacts",
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": "admin",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "the administrator's password",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "only-for-tests",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_TRACKING_URI": client["MLFLOW_TRACKING_URI"],
    }
    text = (BASE / "basic_auth.ini").read_text()
    (folder / "basic_auth.ini").write_text(
        text.replace("postgresql+psycopg:///mlflow", f"postgresql+psycopg:///{database}")
    )
    installation = Installation(database, bucket, environment, client, port, folder)
    with installation.stack:
        yield installation


@contextmanager
def servers(folder: Path) -> Iterator[tuple[dict[str, str], S3]]:
    """PostgreSQL and the S3 server.

    Raises:
        Unavailable: one of them cannot be had here.
    """
    with postgresql() as postgres, versitygw(folder) as s3:
        yield postgres, s3
