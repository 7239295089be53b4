"""infra/compose.yaml: right by the Compose specification, closed to the network, restricted, pinned, and without a secret."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
LOADER = "github.com/compose-spec/compose-go/v2/cmd@v2.9.0"
"""The library by which Docker reads compose files, with its command: it holds a file to the specification's schema."""


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((INFRA / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """A copy of what compose.yaml names, with passwords of its own."""
    folder = tmp_path_factory.mktemp("compose") / "infra"
    shutil.copytree(INFRA, folder, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["sh", folder / "compose" / "make_secrets.sh"], check=True, capture_output=True)
    return folder


def loaded(installation: Path) -> subprocess.CompletedProcess[str]:
    """What Docker's own loader makes of the file; the test is skipped where it cannot be had."""
    if shutil.which("docker"):
        command = ["docker", "compose", "-f", "compose.yaml", "config", "--quiet"]
        if not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
            return subprocess.run(command, cwd=installation, capture_output=True, text=True, check=False)
    if not shutil.which("go"):
        pytest.skip("neither docker compose nor Go is here")
    programs = installation.parent / "programs"
    built = subprocess.run(
        ["go", "install", LOADER],
        env=os.environ | {"GOBIN": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"Go cannot build {LOADER}: {built.stderr.strip().splitlines()[-1]}")
    return subprocess.run(
        [programs / "cmd", "compose.yaml"], cwd=installation, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_docker_would_take_it(installation):
    completed = loaded(installation)
    assert completed.returncode == 0, completed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"), [("read_only: true", "reed_only: true"), ("interval: 5s", "interval: [5]")]
)
def test_what_docker_would_not_take_is_noticed(installation, right, wrong):
    file = installation / "compose.yaml"
    text = file.read_text()
    try:
        file.write_text(text.replace(right, wrong, 1))
        assert loaded(installation).returncode != 0
    finally:
        file.write_text(text)


def test_only_the_proxy_listens_to_the_network_and_the_rest_has_no_way_out(compose):
    assert {name for name, service in compose["services"].items() if "ports" in service} == {"caddy"}
    assert {name for name, service in compose["services"].items() if "outside" in service["networks"]} == {"caddy"}
    assert compose["networks"]["inside"] == {"internal": True}


def test_every_service_is_restricted_limited_and_of_a_version(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert re.search(r":(v?\d[\w.-]*)\}?$", service["image"]), name


def test_the_backup_may_be_written_by_those_who_write_it_and_read_by_nobody_else(compose):
    """Docker makes a folder of the machine that is not there as root's, for everybody to read."""
    services = compose["services"]
    folder = services["backup-folder"]
    assert folder["command"] == ["sh", "-euc", "chown 10001:10001 /backup; chmod 700 /backup"]
    assert (folder["user"], folder["cap_add"]) == ("0:0", ["CHOWN", "FOWNER"])
    (mount,) = folder["volumes"]
    writers = {name for name, service in services.items() if mount in service.get("volumes", []) and service != folder}
    assert writers == {"backup-database", "backup-artifacts"}
    for name in writers:
        assert services[name]["user"] == "10001:10001"
        assert services[name]["depends_on"]["backup-folder"] == {"condition": "service_completed_successfully"}


def test_mlflow_asks_who_comes(compose):
    command = compose["services"]["mlflow"]["command"]
    assert command[command.index("--app-name") + 1] == "basic-auth"


def test_no_secret_stands_in_it(compose, installation):
    for service in compose["services"].values():
        for name in service.get("environment", {}):
            assert not re.search("PASSWORD|SECRET|KEY", name) or name.endswith("_FILE")
    written_names = {file.name for file in (installation / "secrets").iterdir()}
    named = {
        name.removeprefix("secrets/")
        for service in compose["services"].values()
        for name in service.get("env_file", [])
    }
    assert named | {"database"} == written_names
    assert (installation / "secrets").stat().st_mode & 0o077 == 0


def test_all_files_that_it_mounts_are_there(compose):
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (INFRA / source).exists(), f"{name} mounts {source}"


class TestTimer:
    """nightly.sh, with a clock of its own: `date` and `sleep` on the PATH are stand-ins."""

    @pytest.mark.parametrize(("now", "waits"), [("2026-01-01 00:10:00", 1200), ("2026-01-01 00:30:00", 86400)])
    def test_it_waits_for_the_next_time_of_the_day(self, tmp_path, now, waits):
        sleeps = self.run(tmp_path, now, "true")
        assert sleeps[0] == str(waits)

    def test_what_fails_is_tried_again_and_then_left_until_tomorrow(self, tmp_path):
        sleeps = self.run(tmp_path, "2026-01-01 00:10:00", "false")
        assert sleeps[:4] == ["1200", "600", "600", "0"]

    @staticmethod
    def run(folder: Path, now: str, command: str) -> list[str]:
        """The seconds that it slept, up to the second night."""
        real = shutil.which("date")
        (folder / "date").write_text(
            "#!/bin/bash\n"
            'case "$*" in *today*|*tomorrow*) set -- "${@/today/2026-01-01}"; set -- "${@/tomorrow/2026-01-02}"; '
            f'exec {real} "$@" ;;\n'
            f'*) exec {real} -u -d "{now}" "${{@: -1}}" ;; esac\n'
        )
        (folder / "sleep").write_text(
            f'#!/bin/bash\necho "$1" >> {folder}/slept\n[ "$(wc -l < {folder}/slept)" -lt 5 ] || kill $PPID\n'
        )
        for tool in ("date", "sleep"):
            (folder / tool).chmod(0o755)
        subprocess.run(
            ["bash", INFRA / "compose" / "nightly.sh", "00:30", command],
            env={"PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True,
            timeout=300,
            check=False,
        )
        return (folder / "slept").read_text().split()
