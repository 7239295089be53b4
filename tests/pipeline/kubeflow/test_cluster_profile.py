"""What a cluster profile may say, and that the pods get it."""

from pathlib import Path

import pytest

from pipeline import dag, recipe
from pipeline.kubeflow import cluster_profile
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.kubeflow.compile import compile_pipeline
from pipeline.kubeflow.places import demand_visible
from schemas.error import VisageError
from tests.documented import PROJECT
from tests.pipeline.kubeflow.test_compile import documents

pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")

BUCKET, VOLUME = PROJECT / "infra" / "kubeflow" / "bucket.yaml", PROJECT / "infra" / "kubeflow" / "volume.yaml"


def compiled(file: Path, tmp_path: Path, photos: str, **options) -> tuple[dict, dict]:
    """Executors of the pipeline, and what Kubernetes is told of each."""
    out = tmp_path / "visage.yaml"
    compile_pipeline(recipe.load("default", [f"source.path={photos}"]), cluster_profile.load(file, options), out)
    pipeline, platform = documents(out)
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline["deploymentSpec"]["executors"], pods


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return compiled(BUCKET, tmp_path_factory.mktemp("bucket"), "s3://photos/imdb_crop")


class TestTheBucketsExample:
    @pytest.fixture
    def train(self, both):
        return both[0]["exec-train"]["container"], both[1]["exec-train"]

    def test_the_step_with_gpus_has_the_image_for_them(self, both, train):
        images = {name: executor["container"]["image"].rpartition("/")[2] for name, executor in both[0].items()}
        assert images.pop("exec-train") == "visage:1-gpu"
        assert set(images.values()) == {"visage:1"}

    def test_resources_are_each_steps_own(self, both, train):
        resources = train[0]["resources"]
        assert resources["resourceCpuRequest"] == "4"
        assert (resources["resourceMemoryRequest"], resources["resourceMemoryLimit"]) == ("16Gi", "16Gi")
        assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
        assert resources["accelerator"]["resourceCount"] == "1"
        assert "resourceCpuLimit" not in resources
        # What the file does not say of a step is as without a file.
        assert both[0]["exec-validate"]["container"]["resources"]["resourceMemoryRequest"] == "2Gi"
        assert both[0]["exec-ingest"]["container"]["resources"]["resourceMemoryLimit"] == "8Gi"

    def test_the_node_is_chosen(self, both, train):
        assert train[1]["nodeSelector"]["labels"] == {"nvidia.com/gpu.present": "true"}
        assert train[1]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert "nodeSelector" not in both[1]["exec-ingest"]

    def test_secrets_become_variables_of_every_pod_and_stand_nowhere(self, both):
        assert set(both[1]) == {f"exec-{step.name}" for step in dag.STEPS} | {"exec-end-run"}
        for pod in both[1].values():
            [secret] = pod["secretAsEnv"]
            assert secret["secretName"] == "visage-bucket"
            assert [(variable["secretKey"], variable["envVar"]) for variable in secret["keyToEnv"]] == [
                ("access-key", "AWS_ACCESS_KEY_ID"),
                ("secret-key", "AWS_SECRET_ACCESS_KEY"),
            ]

    def test_variables_labels_and_time_limits(self, both, train):
        variables = {entry["name"]: entry["value"] for entry in train[0]["env"]}
        assert variables["AWS_ENDPOINT_URL"] == "http://minio.storage.svc:9000"
        assert variables["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow.svc:5000"
        assert train[1]["podMetadata"]["labels"] == {"app.kubernetes.io/name": "visage"}
        assert int(train[1]["activeDeadlineSeconds"]) == 2 * 86400
        assert "activeDeadlineSeconds" not in both[1]["exec-validate"]

    def test_steps_are_told_where_artifacts_are_kept_and_where_people_look(self, train):
        arguments = train[0]["args"]
        assert arguments[arguments.index("--artifact-store") + 1] == "s3://visage-artifact-store"
        assert arguments[arguments.index("--kubeflow-ui") + 1] == "https://kubeflow.example.com"
        assert arguments[arguments.index("--mlflow-ui") + 1] == "https://mlflow.example.com"


def test_the_volumes_example_mounts_claims_and_secrets_into_every_pod(tmp_path):
    _, pods = compiled(VOLUME, tmp_path, "/data/imdb_crop")
    for pod in pods.values():
        mounted = {mount["constant"]: mount["mountPath"] for mount in pod["pvcMount"]}
        assert mounted == {"visage-photos": "/data", "visage-artifact-store": "/store"}
        assert [(mount["secretName"], mount["mountPath"]) for mount in pod["secretAsVolume"]] == [
            ("company-ca", "/etc/company-ca")
        ]
        assert (pod["imagePullPolicy"], [mount["secretName"] for mount in pod["imagePullSecret"]]) == (
            "IfNotPresent",
            ["registry"],
        )


def test_variables_that_get_the_same_key_of_a_secret_all_get_it(tmp_path):
    variables = {"AWS_ACCESS_KEY_ID": "key", "MINIO_ACCESS_KEY": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    profile = ClusterProfile.model_validate({"secrets": [{"name": "bucket", "env": variables}]})
    compile_pipeline(recipe.load("default"), profile, tmp_path / "visage.yaml")
    for pod in documents(tmp_path / "visage.yaml")[1]["platforms"]["kubernetes"]["deploymentSpec"][
        "executors"
    ].values():
        given = {entry["envVar"]: entry["secretKey"] for each in pod["secretAsEnv"] for entry in each["keyToEnv"]}
        assert given == variables


def test_a_file_of_credentials_may_be_named_where_a_secret_is_mounted():
    env = {"GOOGLE_APPLICATION_CREDENTIALS": "/etc/gcs/key.json"}
    profile = {"env": env, "secrets": [{"name": "gcs", "files": "/etc/gcs"}]}
    assert ClusterProfile.model_validate(profile).env == env


def test_retries_are_a_steps_own(tmp_path):
    out = tmp_path / "visage.yaml"
    profile = cluster_profile.load(BUCKET, {"steps": {"score": {"retries": {"count": 0}}}})
    compile_pipeline(recipe.load("default"), profile, out)
    tasks = documents(out)[0]["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert (tasks["train"]["retryPolicy"]["maxRetryCount"], tasks["train"]["retryPolicy"]["backoffMaxDuration"]) == (
        5,
        "1800s",
    )
    assert tasks["ingest"]["retryPolicy"]["maxRetryCount"] == 2
    assert "retryPolicy" not in tasks["score"]


def test_what_is_given_on_the_command_line_goes_before_the_file():
    profile = cluster_profile.load(BUCKET, {"image": "mine:2", "steps": {"train": {"gpus": 4}}})
    assert (profile.image, profile.pod("train").gpus, profile.pod("train").memory) == ("mine:2", 4, "16Gi")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("imagge: x", "there is no setting imagge", "Did you mean image"),
        ("steps: {training: {cpu: 1}}", "there is no setting steps.training", "Did you mean steps.train"),
        ("steps: {train: {cpus: 1}}", "there is no setting steps.train.cpus", "Did you mean steps.train.cpu"),
        ("volumes: [{claim: photos}]", "mount must be set", ""),
        ("image: two words", "image: it names nothing", ""),
        ("steps: {train: {cpu: many}}", "steps.train.cpu: write cores as 2, 0.5 or 500m", ""),
        ("steps: {train: {memory: 4GB}}", "steps.train.memory: write memory as 4Gi or 512Mi", ""),
        ("steps: {train: {memory: 4Gi, memory_limit: 2G}}", "memory_limit is less than memory", ""),
        ("steps: {train: {cpu: 500m, cpu_limit: 0.4}}", "cpu_limit is less than cpu", ""),
        ("steps: {train: {gpus: 3}}", "steps.train.gpus", ""),
        ("steps: {train: {time_limit: 6 hours}}", "write a time as 90s, 30m, 6h or 2d", ""),
        ("steps: {train: {retries: {count: -1}}}", "steps.train.retries.count", ""),
        ("volumes: [{claim: photos, mount: data}]", "write the path of a folder in the pod", ""),
        ("volumes: [{claim: Photos!, mount: /data}]", "small letters", ""),
        ("volumes: [{claim: a, mount: /data}, {claim: b, mount: /data/}]", "mounted at /data", ""),
        ("secrets: [{name: key}]", "say which variables", ""),
        ("train_hosts: 2", "train_hosts wants artifact_store", ""),
        ("{train_hosts: 2, artifact_store: s3://x, volumes: [{claim: a, mount: /work}]}", "of their own at /work", ""),
        ("{train_hosts: 2, artifact_store: s3://x, secrets: [{name: a, files: /tmp/}]}", "of their own at /tmp", ""),
        ("{train_hosts: -1, artifact_store: s3://x}", "train_hosts", ""),
        ("env: {AWS_SECRET_ACCESS_KEY: hunter2}", "make a credential a secret of the cluster", ""),
        ("{env: {TOKEN: /a/../hunter2}, image_folders: [/a]}", "make a credential a secret of the cluster", ""),
        ("- image", "must hold settings", ""),
        ("image: [", "is not valid YAML", ""),
    ],
)
def test_a_wrong_profile_is_one_message_that_says_what_is_wanted(text, message, hint, tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(VisageError) as raised:
        cluster_profile.load(file, {})
    assert message in raised.value.message and hint in raised.value.hint and raised.value.usage
    assert "cluster.yaml" in raised.value.message and "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["source.path=imdb_crop"], "source.path, imdb_crop: a relative path"),
        (
            ["source.path=/home/me/imdb_crop"],
            "source.path, /home/me/imdb_crop: no volume that the pods mount holds it (/data)",
        ),
        (["source.path=/database"], "no volume"),
        (["source.path=/data/../home"], "no volume"),
        (["source.path=~/imdb_crop"], "no volume"),
        (["source.path=https://example.com/imdb"], "no step reads https://"),
        (["source.path=memory://imdb"], "no step reads memory://"),
        (["source.path=file://other/imdb"], "another machine"),
        (["source.path=/data/imdb", "source.photos=photos"], "source.photos"),
        (["source.path=/data/imdb", "score.photos=[/data/a.zip, b.zip]"], "score.photos, b.zip"),
        (["source.path=/data/imdb", "validation.reference=train.pb"], "validation.reference"),
        (
            ["source.path=/data/imdb", "estimator.backbone={kind: vgg16, weights: vgg16.h5}"],
            "estimator.backbone.weights",
        ),
        (["source.path=/data/imdb", "beam.staging=/scratch"], "beam.staging"),
    ],
)
def test_a_place_that_no_pod_can_see_is_refused_with_what_to_do(overrides, message, tmp_path):
    profile = ClusterProfile.model_validate({"volumes": [{"claim": "photos", "mount": "/data"}]})
    with pytest.raises(VisageError) as raised:
        compile_pipeline(recipe.load("default", overrides), profile, tmp_path / "visage.yaml")
    assert message in raised.value.message and raised.value.usage
    assert "s3://" in raised.value.hint and "--cluster" in raised.value.hint
    assert not (tmp_path / "visage.yaml").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["source.path=/data/imdb_crop", "score.photos=[/data/*.zip, s3://photos/b.zip]"],
        ["source.path=file:///data/imdb_crop"],
        ["source.path=/opt/demo/archive"],
        ["source.path=gs://photos/imdb", "estimator.backbone={kind: vgg16, weights: imagenet}"],
    ],
)
def test_a_place_that_every_pod_sees_is_not(overrides):
    values = {"volumes": [{"claim": "photos", "mount": "/data"}], "image_folders": ["/opt/demo"]}
    demand_visible(recipe.load("default", overrides).settings, ClusterProfile.model_validate(values))


@pytest.mark.parametrize("place", ["store", "/elsewhere", "https://example.com"])
def test_an_artifact_store_that_no_pod_can_see_is_refused(place):
    with pytest.raises(VisageError, match="artifact_store of the cluster profile"):
        demand_visible(recipe.load("default").settings, ClusterProfile(artifact_store=place))
