"""What Kubeflow's launcher does around the container of a task, on this machine and without a cluster.

Each try of a task has a disk of its own: inputs are fetched from the object store into it, the placeholders of its command are
filled, and if the command ends well its outputs are taken from where they were promised. A folder is its files: empty ones
are lost.
See `backend/src/v2/component/launcher_v2.go` of kubeflow/pipelines.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests import preloaded

STEPS = "comp-exit-handler-1"


class Run:
    """A pipeline run: its id, its object store, and the disks of its pods."""

    def __init__(self, pipeline: Mapping[str, Any], place: Path, run_id: str, environment: Mapping[str, str]) -> None:
        self.pipeline, self.place, self.run_id, self.environment = pipeline, place, run_id, environment
        self.tasks = {**pipeline["root"]["dag"]["tasks"], **pipeline["components"][STEPS]["dag"]["tasks"]}
        self.settings = pipeline["root"]["inputDefinitions"]["parameters"]["settings"]["defaultValue"]
        self.metadata: dict[tuple[str, str], dict] = {}
        self.tries = 0

    def order(self) -> list[str]:
        """The steps, each after those that it depends on."""
        waiting = dict(self.pipeline["components"][STEPS]["dag"]["tasks"])
        placed: list[str] = []
        while waiting:
            ready = [name for name, task in waiting.items() if set(task.get("dependentTasks", [])) <= set(placed)]
            placed += ready
            waiting = {name: task for name, task in waiting.items() if name not in ready}
        return placed

    def do(self, name: str, end_after: str = "") -> tuple[int, str]:
        """One try of a task; its exit code and what it said. Evicted, by SIGTERM, once it has said `end_after`."""
        self.tries += 1
        disk = self.place / "disks" / f"{self.run_id}-{self.tries}-{name}"
        disk.mkdir(parents=True)
        task = self.tasks[name]
        executor_input: dict[str, dict[str, Any]] = {
            "inputs": {"parameterValues": self._parameters(task), "artifacts": self._inputs(task)},
            "outputs": {
                "artifacts": self._outputs(name),
                "outputFile": str(disk / "tmp/kfp_outputs/output_metadata.json"),
            },
        }
        for artifact in executor_input["inputs"]["artifacts"].values():
            _copy(self._stored(artifact["artifacts"][0]["uri"]), self._local(disk, artifact["artifacts"][0]["uri"]))
        for artifact in executor_input["outputs"]["artifacts"].values():
            self._local(disk, artifact["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
        container = self.pipeline["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
        assert container["command"] == ["visage"]
        filled = self._placeholders(executor_input, disk)
        arguments = []
        for argument in container["args"]:
            for placeholder, value in filled.items():
                argument = argument.replace(placeholder, value)
            assert "{{$" not in argument
            arguments.append(argument)
        variables = {entry["name"]: entry["value"] for entry in container["env"]}
        output = disk / "log"
        process = preloaded.visage(arguments, self.place, {**os.environ, **self.environment, **variables}, output)
        while process.is_alive():
            if end_after and end_after in output.read_text():
                end_after = ""
                process.terminate()
            process.join(0.05)
        code, log = process.exitcode, output.read_text()
        if code == 0:
            self._publish(name, executor_input, disk)
        shutil.rmtree(disk)
        return code, log

    def artifact(self, name: str, output: str = "artifact") -> Path:
        """Where the object store has an output of a task."""
        return self._stored(self._uri(name, output))

    def _publish(self, name: str, executor_input: Mapping[str, Any], disk: Path) -> None:
        file = Path(executor_input["outputs"]["outputFile"])
        reported = json.loads(file.read_text())["artifacts"] if file.exists() else {}
        for output, artifact in executor_input["outputs"]["artifacts"].items():
            _copy(self._local(disk, artifact["artifacts"][0]["uri"]), self.artifact(name, output))
            if output in reported:
                [shown] = reported[output]["artifacts"]
                assert shown["uri"] == self._uri(name, output)
                self.metadata[name, output] = shown["metadata"]

    def _parameters(self, task: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for name, given in task["inputs"].get("parameters", {}).items():
            if "runtimeValue" in given:
                values[name] = given["runtimeValue"]["constant"].replace("{{$.pipeline_job_uuid}}", self.run_id)
            else:
                values[name] = self.settings
        return values

    def _inputs(self, task: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, given in task["inputs"].get("artifacts", {}).items():
            producer = given["taskOutputArtifact"]
            uri = self._uri(producer["producerTask"], producer["outputArtifactKey"])
            found[name] = {"artifacts": [{"name": name, "uri": uri}]}
        return found

    def _outputs(self, name: str) -> dict[str, Any]:
        definitions = self.pipeline["components"][f"comp-{name}"].get("outputDefinitions", {}).get("artifacts", {})
        return {
            output: {"artifacts": [{"name": output, "type": artifact["artifactType"], "uri": self._uri(name, output)}]}
            for output, artifact in definitions.items()
        }

    def _placeholders(self, executor_input: Mapping[str, Any], disk: Path) -> dict[str, str]:
        filled = {"{{$}}": json.dumps(executor_input)}
        for side in ("inputs", "outputs"):
            for name, artifact in executor_input[side]["artifacts"].items():
                uri = artifact["artifacts"][0]["uri"]
                filled[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
                filled[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(self._local(disk, uri))
        for name, value in executor_input["inputs"]["parameterValues"].items():
            text = value if isinstance(value, str) else json.dumps(value)
            filled[f"{{{{$.inputs.parameters['{name}']}}}}"] = text
        return filled

    def _uri(self, name: str, output: str) -> str:
        return f"minio://mlpipeline/v2/artifacts/visage/{self.run_id}/{name}/{output}"

    def _stored(self, uri: str) -> Path:
        return self.place / "store" / uri.removeprefix("minio://")

    def _local(self, disk: Path, uri: str) -> Path:
        return disk / "minio" / uri.removeprefix("minio://")


def _copy(source: Path, target: Path) -> None:
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    for file in files:
        to = target / file.relative_to(source) if file != source else target
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
