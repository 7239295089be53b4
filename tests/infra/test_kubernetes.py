"""What infra/kubernetes builds: right by Kubernetes' own schemas, restricted, limited, pinned, and without a secret."""

import re
import shlex
from itertools import chain

import kubernetes_validate
import pytest

from components.step.command import inputs_of
from pipeline import dag, recipe
from pipeline.cli import parser
from pipeline.kubeflow import train_job
from tests.infra import manifests
from tests.infra.manifests import BUILDS, VERSION, containers, pod_specs


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """The objects of every kustomization."""
    folder = manifests.copy(tmp_path_factory.mktemp("manifests"))
    return {name: manifests.built(name, folder) for name in BUILDS}


@pytest.fixture(params=BUILDS)
def objects(builds, request):
    return builds[request.param]


def named(objects, kind: str) -> dict[str, dict]:
    return {manifest["metadata"]["name"]: manifest for manifest in objects if manifest["kind"] == kind}


def test_every_object_is_right_by_the_schemas_of_kubernetes(objects):
    for manifest in objects:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_key_that_is_none_and_a_value_of_another_type_are_noticed(builds):
    """The schemas are strict: what kubectl would only warn of fails here."""
    deployment = named(builds["overlays/production"], "Deployment")["mlflow"]
    for change in ({"replica": 2}, {"replicas": "two"}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**deployment, "spec": deployment["spec"] | change}, VERSION, strict=True)


def test_every_pod_meets_the_restricted_standard_and_writes_to_volumes_only(objects):
    for name, pod in pod_specs(objects).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume], name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, name


def test_no_pod_has_a_token_of_kubernetes_and_no_account_a_role_but_that_of_kubeflows_runs(builds):
    for build, objects in builds.items():
        bound = [name for kind in ("RoleBinding", "ClusterRoleBinding") for name in named(objects, kind)]
        assert bound == (["visage-train-hosts"] if build == "kubeflow" else []), build
        for name, pod in pod_specs(objects).items():
            assert pod["automountServiceAccountToken"] is False, name
            assert pod["serviceAccountName"] != "default", name


def test_kubeflows_runs_may_start_a_job_look_at_it_and_remove_it_and_no_more(builds):
    (role,) = named(builds["kubeflow"], "Role").values()
    may = {(kind, verb) for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    assert may == {("jobs", "create"), ("jobs", "get"), ("jobs", "delete"), ("pods", "list"), ("pods/log", "get")}
    (binding,) = named(builds["kubeflow"], "RoleBinding").values()
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": "kubeflow"}]


def test_every_container_asks_for_cores_and_memory_and_has_a_limit_of_memory(objects):
    for name, pod in pod_specs(objects).items():
        for container in containers(pod):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


def test_every_image_is_of_a_version(objects):
    for name, pod in pod_specs(objects).items():
        for container in containers(pod):
            assert re.search(r"/[\w-]+(:[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]), name
            assert not container["image"].endswith(":latest")


def test_all_volumes_config_maps_and_secrets_that_are_named_are_there(builds):
    """Those of production, and of jobs, are made by somebody else: named in the kustomization's first lines, or optional."""
    for build, objects in builds.items():
        jobs = build.startswith("jobs/")
        existing = {
            kind: set(named(objects + (builds["overlays/single-node"] if jobs else []), kind))
            for kind in ("ConfigMap", "Secret", "PersistentVolumeClaim")
        }
        if build == "overlays/production":
            first = (manifests.KUBERNETES / build / "kustomization.yaml").read_text().split("apiVersion")[0]
            existing["Secret"] |= set(re.findall(r"[a-z]+-[a-z]+", first))
        for name, pod in pod_specs(objects).items():
            mounted = {volume["name"]: volume for volume in pod["volumes"]}
            claimed = set()
            for manifest in objects:
                claimed |= {
                    template["metadata"]["name"]
                    for template in (manifest.get("spec") or {}).get("volumeClaimTemplates", [])
                }
            for volume in mounted.values():
                if "configMap" in volume:
                    assert volume["configMap"]["name"] in existing["ConfigMap"], name
                if "persistentVolumeClaim" in volume:
                    assert volume["persistentVolumeClaim"]["claimName"] in existing["PersistentVolumeClaim"], name
            for container in containers(pod):
                assert {mount["name"] for mount in container["volumeMounts"]} <= mounted.keys() | claimed, name
                for source in container.get("envFrom", []):
                    if "configMapRef" in source:
                        assert source["configMapRef"]["name"] in existing["ConfigMap"], name
                    elif not source["secretRef"].get("optional"):
                        assert source["secretRef"]["name"] in existing["Secret"], name


def test_no_secret_stands_in_a_manifest_that_git_keeps(builds):
    """Values come from files that git ignores, or from objects that are there already."""
    assert set(named(builds["overlays/production"], "Secret")) == set()
    for objects in builds.values():
        for pod in pod_specs(objects).values():
            for variable in chain.from_iterable(container.get("env", []) for container in containers(pod)):
                assert not re.search("PASSWORD|SECRET|TOKEN", variable["name"]) or "valueFrom" in variable
    for file in chain(manifests.KUBERNETES.rglob("*.yaml"), manifests.KUBERNETES.rglob("*.ini")):
        assert not re.search(r"(?im)password *[:=] *\S|://[^/\s:]+:[^/\s@]+@", file.read_text()), file


def test_two_installations_have_passwords_of_their_own_and_keep_them(tmp_path):
    secret_sets = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        secrets = manifests.copy(tmp_path / name) / "overlays" / "single-node" / "secrets"
        assert {file.stat().st_mode & 0o077 for file in secrets.iterdir()} == {0}
        secret_sets.append({file.name: file.read_text() for file in secrets.iterdir()})
    assert (
        secret_sets[0].keys()
        == secret_sets[1].keys()
        == {"mlflow-database.env", "mlflow-admin.env", "mlflow-client.env"}
    )
    assert not [name for name in secret_sets[0] if secret_sets[0][name] == secret_sets[1][name]]


def test_nobody_can_reach_what_he_is_not_let_to(builds):
    for build in ("overlays/single-node", "overlays/production"):
        policies = named(builds[build], "NetworkPolicy")
        assert policies["deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        for name, policy in policies.items():
            for rule in policy["spec"].get("ingress", []):
                assert rule.get("from") and rule.get("ports"), f"{name} lets everybody in"


def test_every_service_and_budget_finds_pods(objects):
    labels = [{train_job.HOST_LABEL: "true"}]  # pods of the Job that the compiled pipeline starts
    for manifest in objects:
        spec = manifest.get("spec") or {}
        spec = spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec
        if "template" in spec:
            own = {"job-name": manifest["metadata"]["name"]} if manifest["kind"] == "Job" else {}
            labels.append(spec["template"]["metadata"]["labels"] | own)
    for manifest in objects:
        if manifest["kind"] in ("Service", "PodDisruptionBudget"):
            selector = manifest["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            assert [pod for pod in labels if selector.items() <= pod.items()], manifest["metadata"]["name"]


def test_nightly_jobs_never_overlap_and_have_deadlines_and_a_history(builds):
    for build in ("overlays/single-node", "overlays/production"):
        jobs = named(builds[build], "CronJob")
        assert set(jobs) == {"visage-run", "visage-score", "mlflow-backup"}
        for name, job in jobs.items():
            spec = job["spec"]
            assert spec["concurrencyPolicy"] == "Forbid", name
            assert spec["startingDeadlineSeconds"] <= 24 * 3600, name
            assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 24 * 3600, name
            assert spec["successfulJobsHistoryLimit"] and spec["failedJobsHistoryLimit"], name


def test_mlflow_asks_who_comes(builds):
    for build in ("overlays/single-node", "overlays/production"):
        pod = pod_specs(builds[build])["Deployment mlflow"]
        (server,) = pod["containers"]
        assert server["args"][:2] == ["--app-name", "basic-auth"]
        (ini,) = [
            manifest["data"]["basic_auth.ini"]
            for manifest in builds[build]
            if "basic_auth.ini" in manifest.get("data", {})
        ]
        assert "default_permission = READ" in ini
    (ingress,) = named(builds["overlays/production"], "Ingress").values()
    assert {rule["host"] for rule in ingress["spec"]["rules"]} == {*ingress["spec"]["tls"][0]["hosts"]}


def test_mlflow_answers_to_every_name_by_which_it_is_asked(builds):
    """That of its own namespace, and the longer one that is it from Kubeflow's, which the policy lets in."""
    from mlflow.server.security_utils import is_allowed_host_header

    for build in ("overlays/single-node", "overlays/production"):
        (rule,) = named(builds[build], "NetworkPolicy")["mlflow"]["spec"]["ingress"]
        let_in = [
            source["namespaceSelector"]["matchLabels"] for source in rule["from"] if "namespaceSelector" in source
        ]
        assert {"kubernetes.io/metadata.name": "kubeflow"} in let_in
        data = [manifest["data"] for manifest in named(builds[build], "ConfigMap").values()]
        (allowed,) = [values["MLFLOW_SERVER_ALLOWED_HOSTS"] for values in data if "PGHOST" in values]
        namespace = named(builds[build], "Service")["mlflow"]["metadata"]["namespace"]
        for host in ("mlflow:5000", f"mlflow.{namespace}.svc:5000"):
            assert is_allowed_host_header(allowed.split(","), host), f"{host} in {build}"


def test_the_commands_of_visage_and_their_recipes_are_right(builds, tmp_path):
    for build, objects in builds.items():
        jobs = build.startswith("jobs/")
        for manifest in builds["overlays/single-node"] if jobs else objects:
            if "recipe.yaml" in manifest.get("data", {}):
                (tmp_path / "recipe.yaml").write_text(manifest["data"]["recipe.yaml"])
        for pod in pod_specs(objects).values():
            for container in pod["containers"]:
                arguments = [argument.replace("/etc/visage", str(tmp_path)) for argument in container.get("args", [])]
                if arguments[:1] == ["visage"]:
                    parsed = parser().parse_args(arguments[1:])
                    assert recipe.load(parsed.recipe, parsed.set), shlex.join(arguments)
                    if arguments[1] == "step":
                        assert inputs_of(dag.named(parsed.name), parsed), shlex.join(arguments)


def test_the_hosts_of_a_training_are_its_pods_names(builds):
    objects = builds["jobs/train-hosts"]
    (job,) = named(objects, "Job").values()
    (service,) = named(objects, "Service").values()
    name, spec = job["metadata"]["name"], job["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"]
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    (container,) = pod["containers"]
    (port,) = [port_entry["containerPort"] for port_entry in container["ports"]]
    assert container["env"] == [
        {
            "name": "VISAGE_TRAIN_HOSTS",
            "value": ",".join(f"{name}-{number}.{pod['subdomain']}:{port}" for number in range(spec["completions"])),
        }
    ]
    assert container["args"][-1].endswith("$(JOB_COMPLETION_INDEX)"), "every host has an output folder of its own"
