"""Every command of every README and every `--help`, started as a process of its own: as written, or by what stands for it.

The first of a kind, such as `visage models`, starts from nothing; those after it have its libraries already.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from components import registry
from components.registry.mlflow_server import client
from pipeline import recipe, tracking
from pipeline.cli import parser
from pipeline.demo.archive import draw_archive
from tests import preloaded
from tests.documented import PROJECT, documented
from tests.pipeline.kubeflow.kubeflow_server import serving

pytestmark = pytest.mark.slow

PLACEHOLDERS = {
    "FOLDER": "imdb_crop",
    "source.KEY=VALUE": "source.name=mine",
    "KEY STEP...": "key train",
    "NAME": "demo",
    "ONE.jpg": "portrait.jpg",
    "PHOTOS": "albums",
    "source.path=demo": "source.path=imdb_crop",
}
"""What a reader puts in the place of a word."""


@dataclass(frozen=True)
class Rule:
    r"""How commands of a kind are started.

    Attributes:
        command: a pattern of the whole command.
        started: what is started for it, with \1 and so on; $PORT, $KUBEFLOW and $MIRROR are this test's own servers'.
        why: it is not started as it is written.
        code: the exit code.
        says: what its output has.
    """

    command: str
    started: str = r"\g<0>"
    why: str = ""
    code: int = 0
    says: str = ""


MODEL = "visage run --recipe demo --set train.epochs=3"
"""The run whose archive, artifacts and model the other commands find."""

TRAINING = "a training; the demo's is started, and settings are read in any case"
RULES = (
    Rule(r"make (run|test|env|lock|upgrade)", r"make --dry-run \1", "CI does it, or it needs the registries"),
    Rule(r"\.venv/bin/pytest (.*-k .*)", r"pytest -p no:cacheprovider \1"),
    Rule(
        r"\.venv/bin/pytest (.*)", r"pytest -p no:cacheprovider --collect-only \1", "the suite runs these tests itself"
    ),
    Rule(r"(tests/(?:cluster/)?\w+\.sh).*", r"bash -n \1", "half an hour, as root"),
    Rule(
        r"python artifacts\.py .*",
        'python infra/kubernetes/components/backup/artifacts.py schemas "$ROOT/copied"',
        "a bucket of others",
        says="copied from schemas",
    ),
    Rule(r"\.venv/bin/(python -m tests\.compare_roots).*", r'\1 "$ROOT" "$ROOT"', "needs a root of another machine"),
    Rule(r"(python -m apache_beam\S+).*", r"\1 --help", "a worker that waits for jobs"),
    Rule(r"(python -m tests\.cluster\.\w+).*", r"\1 --help", "half an hour, on photos that do not come along"),
    Rule(r"python infra/capacity\.py.*", says="What breaks first"),
    Rule(r"python --version"),
    Rule(r"python -m components\.(\w+)", r"python -m components.\1 --help", "a mention: `visage step` is the same"),
    Rule(r"(python tests/benchmarks/\w+\.py).*", r"\1 --help", "minutes to hours, on photos that do not come along"),
    Rule(r"(mlflow(?: [a-z]+)*).*", r"\1 --help", "a server of others"),
    Rule(r"visage.*agedb.*", "visage labels --help", "of a source that the page adds: tests of sources add it as well"),
    Rule(r"(visage)( --help)?", r"\1 --help"),
    Rule(
        r"visage (compare|compile|demo-data|download|labels|run|schedule|schema|score|step(?: \w+)?|submit|weights)",
        r"\g<0> --help",
        "a mention",
    ),
    Rule(re.escape(MODEL), says="visage version"),
    Rule(r"visage run .*", "visage run --help", TRAINING),
    Rule(r"visage demo-data (\w+) --photos \d+", r"visage demo-data \1 --photos 40", "a small one does"),
    Rule(r"visage labels .*"),
    Rule(r"visage recipes( \w+)?", says="demo"),
    Rule(r"visage download (\S+) --out \.", code=2, says="terms above must be accepted"),
    Rule(r"visage download .* --accept-terms", r"\g<0> --mirror $MIRROR", "7 GB; a server without them", 1, "404"),
    Rule(r"visage weights (\w+) --out \S+", code=2, says="terms above must be accepted"),
    Rule(
        r"visage weights .* --accept-terms",
        r"\g<0> --package gone.tgz",
        "it needs the registry; tests/components/estimator/test_faceres.py does it without",
        1,
        "gone.tgz cannot be read",
    ),
    Rule(r"visage step ingest .*source\.kind=.*", "visage step ingest --help", "imdb_wiki is the default"),
    Rule(
        r"visage step ingest .*beam\.runner=(?:portable|flink|spark|dataflow).*",
        "visage step ingest --help",
        "a cluster; tests/cluster starts it on Prism",
    ),
    Rule(r"visage step (ingest|validate) .*", says="done in"),
    Rule(
        r"visage step (\w+) .*",
        r"visage step \1 --help",
        "minutes, and other artifacts; the two above have its options",
    ),
    Rule(
        r"visage score (?:album\.zip .*|albums .*|faces.*)",
        "visage score --help",
        "the one with three places is started",
    ),
    Rule(r"visage score albums/ .*", says="scores/summary.html"),
    Rule(r"visage score portrait\.jpg"),
    Rule(r"visage score .*", "visage score --help", "photos of others"),
    Rule(r"visage models.*"),
    Rule(r"visage schema infer .*", says="proposed.pbtxt"),
    Rule(
        r"visage schema (diff|approve) .*",
        r"([ -e proposed.pbtxt ] || visage schema infer artifacts/ingest --out proposed.pbtxt) && "
        r"cp proposed.pbtxt own.pbtxt && \g<0> --schema own.pbtxt",
        "there must be a proposal, and the project keeps its schema",
        says="asks for the same as own.pbtxt",
    ),
    Rule(r"visage compare .*", "visage compare --help", "a second version, which the one run has not"),
    Rule(r"visage end-run .*", says="no run was tracked"),
    Rule(r"visage ui", r"\g<0> --port $PORT", "5000 may be taken"),
    Rule(r"visage compile .*", says="visage.yaml"),
    Rule(
        r"visage schedule --(pause|resume)",
        r"visage schedule --cron '0 2 * * *' --set source.path=s3://photos --host $KUBEFLOW && \g<0> --host $KUBEFLOW",
        "there must be a schedule",
        says="visage: ",
    ),
    Rule(r"visage (submit|schedule) .*", r"\g<0> --host $KUBEFLOW", "8080 may be taken"),
    Rule(r"python -m tests\.pipeline\.kubeflow\.compiled", "visage compile --help", "it renews a file of the project"),
)


@dataclass(frozen=True)
class CommandResult:
    code: int
    output: str


def test_every_command_has_a_rule_and_every_rule_a_command():
    commands = [(filled(command), where) for command, where in documented().items()]
    unknown = [f"{where}: {command}" for command, where in commands if not rule_of(command)]
    assert not unknown, "say in RULES how these are started"
    assert len(commands) > 40


@pytest.mark.parametrize("command", documented())
def test_the_command_works(command, started, place, monkeypatch):
    command = filled(command)
    rule = rule_of(command)
    if not rule:
        pytest.skip("test_every_command_has_a_rule fails for it")
    stands_for_it = re.sub(rule.command, rule.started, command, count=1)
    result = started(stands_for_it)
    assert "Traceback" not in result.output
    assert result.code == rule.code, result.output
    assert rule.says in result.output
    if stands_for_it.endswith("--help"):
        for option in re.findall(r"--[a-z][a-z-]+", re.sub(r"beam\.options=\[.*?\]", "", command)):
            assert option in result.output, f"{option} is no option of it"
    if command.startswith("visage") and "agedb" not in command:
        monkeypatch.chdir(place)
        read_settings(command)


def read_settings(command: str) -> None:
    """Fails where the command's options are none or its recipe and settings are wrong."""
    words = shlex.split(command.split(" > ")[0])[1:]
    if len(words) < 2 or "--help" in words or (words[0] == "step" and "--out" not in words):
        return
    if words[0] in ("download", "labels") and len(words) < 3:
        return
    arguments = parser().parse_args(words)
    if hasattr(arguments, "recipe"):
        recipe.load(arguments.recipe, arguments.set)


def filled(command: str) -> str:
    """The command without words that stand for others, and without brackets around what may be left out."""
    for word, meant in PLACEHOLDERS.items():
        command = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", meant, command)
    return re.sub(r"(?<= )\[|\](?= |$)", "", command)


def rule_of(command: str) -> Rule | None:
    return next((rule for rule in RULES if re.fullmatch(rule.command, command)), None)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what the commands name: archives small enough to be done with soon."""
    folder = tmp_path_factory.mktemp("a reader's folder")
    draw_archive(folder / "imdb_crop", photos=240, seed=3)
    (folder / "my-recipe.yaml").write_text("extends: demo\n")
    shutil.copytree(PROJECT / "infra" / "kubeflow", folder / "infra" / "kubeflow")
    shutil.copytree(folder / "imdb_crop", folder / "pipeline-root" / "demo-archive")
    photos = sorted((folder / "imdb_crop").glob("*/*.jpg"), key=lambda photo: photo.stat().st_size)[-6:]
    shutil.copyfile(photos[0], folder / "portrait.jpg")
    for name in ("albums", "scans"):
        (folder / name).mkdir()
    shutil.copyfile(photos[1], folder / "albums" / "one.jpg")
    Image.open(photos[2]).save(folder / "scans" / "one.tif")
    with zipfile.ZipFile(folder / "old.zip", "w") as packed:
        packed.write(photos[3], "one.jpg")
    return folder


@pytest.fixture(scope="module")
def environment(place) -> Iterator[dict[str, str]]:
    """Of the commands, with the addresses of servers at ports that are free."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (place / "no archives").mkdir()
    mirror = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=place / "no archives"))
    threading.Thread(target=mirror.serve_forever).start()
    with serving() as kubeflow, mirror, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        variables = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "ROOT": str(place / "pipeline-root"),
            "PORT": str(listener.getsockname()[1]),
            "KUBEFLOW": kubeflow.host,
            "MIRROR": f"http://127.0.0.1:{mirror.server_port}",
        }
        for name in [name for name in variables if name == "MLFLOW_TRACKING_URI" or name.startswith("PYTEST_")]:
            del variables[name]
        listener.close()
        yield variables
        mirror.shutdown()


@pytest.fixture(scope="module")
def started(place, environment) -> Callable[[str], CommandResult]:
    """Starts a command and waits for its end, each command once; before all others the run whose model they need."""
    results: dict[str, CommandResult] = {}
    kinds: set[str] = set()

    def start(command: str) -> CommandResult:
        if command not in results:
            shutil.rmtree(place / "scores", ignore_errors=True)
            words = command.split()
            kind = " ".join(words[: 3 if words[1:2] == ["step"] else 2])
            for_no_shell = command.startswith("visage") and not re.search(r"[<>|&$;]", command)
            results[command] = (run_again if kind in kinds and for_no_shell else run)(command, place, environment)
            if "--help" not in words:
                kinds.add(kind)
        return results[command]

    assert start(MODEL).code == 0, results[MODEL].output
    (ingested,) = (place / "pipeline-root" / "artifacts" / "ingest").glob("[!.]*")
    shutil.copytree(ingested, place / "artifacts" / "ingest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.local_store(place / "pipeline-root"))
        first = registry.resolve("visage/1")
        for _ in range(2):
            client().create_model_version("visage", first.uri, first.run_id, tags=dict(first.tags))
        registry.promote("visage/2")
    return start


def run(command: str, place: Path, environment: dict[str, str]) -> CommandResult:
    """Starts a command in the folder that it is for. One that serves until it is stopped is, once its page is there."""
    where = PROJECT if re.match(r"make|pytest|python|bash", command) else place
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            shell=True,
            cwd=where,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if command.startswith("visage ui"):
                code = 0 if answers(f"http://127.0.0.1:{environment['PORT']}", process) else 1
            else:
                code = process.wait(timeout=500)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        output.seek(0)
        return CommandResult(code, output.read())


def run_again(command: str, place: Path, environment: dict[str, str]) -> CommandResult:
    """Starts a `visage` command that ends, in the folder that it is for, in a process that has the libraries already."""
    with tempfile.NamedTemporaryFile() as output:
        process = preloaded.visage(shlex.split(command)[1:], place, environment, Path(output.name))
        process.join(500)
        preloaded.kill(process)
        return CommandResult(process.exitcode, Path(output.name).read_text())


def answers(address: str, process: subprocess.Popen) -> bool:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as page:
                return page.status == 200
        except OSError:
            time.sleep(0.5)
    return False
