"""Runs and schedules on a Kubeflow Pipelines server, as far as the server's interface goes."""

import pytest

from pipeline import dag, recipe
from pipeline.cli import main
from pipeline.kubeflow import client
from pipeline.kubeflow.cluster_profile import ClusterProfile
from pipeline.kubeflow.cron import with_seconds
from schemas.error import VisageError
from tests.pipeline.kubeflow.kubeflow_server import serving

pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")

PROFILE = ClusterProfile(image="registry/visage:1", service_account="visage")
PHOTOS = "source.path=s3://photos/imdb_crop"


@pytest.fixture
def kubeflow():
    with serving() as server:
        yield server


def submit(server, *overrides):
    return client.submit(recipe.load("default", [PHOTOS, *overrides]), PROFILE, client.Server(server.host))


def schedule(server, cron="0 2 * * *", name="nightly"):
    return client.schedule(recipe.load("default", [PHOTOS]), PROFILE, client.Server(server.host), cron, name)


def test_a_run_is_the_whole_dag_with_the_recipes_settings(kubeflow):
    submit(kubeflow, "train.epochs=3")
    [run] = kubeflow.all("runs")
    spec = run["pipeline_spec"]
    assert set(spec["root"]["dag"]["tasks"]) == {"exit-handler-1", "end-run"}
    steps = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert set(steps) == {step.name for step in dag.STEPS}
    assert spec["root"]["inputDefinitions"]["parameters"]["settings"]["defaultValue"]["train"] == {"epochs": 3}


def test_the_address_of_a_run_is_told(kubeflow):
    assert submit(kubeflow) == f"{kubeflow.host}/#/runs/details/{kubeflow.all('runs')[0]['run_id']}"


def test_no_step_is_taken_from_the_servers_cache(kubeflow):
    submit(kubeflow)
    [run] = kubeflow.all("runs")
    tasks = run["pipeline_spec"]["root"]["dag"]["tasks"].values()
    assert not any(task.get("cachingOptions", {}).get("enableCache") for task in tasks)


def test_all_runs_are_of_one_experiment(kubeflow):
    submit(kubeflow)
    submit(kubeflow)
    assert len(kubeflow.all("runs")) == 2
    assert [experiment["display_name"] for experiment in kubeflow.all("experiments")] == ["visage"]


def test_a_schedule_runs_one_at_a_time_and_makes_up_for_none(kubeflow):
    address = schedule(kubeflow, "30 2 * * mon-fri")
    [recurring_run] = kubeflow.all("recurringruns")
    assert recurring_run["trigger"]["cron_schedule"]["cron"] == "0 30 2 * * mon-fri"
    assert (recurring_run["max_concurrency"], recurring_run["no_catchup"], recurring_run["mode"]) == (1, True, "ENABLE")
    assert address == f"{kubeflow.host}/#/recurringrun/details/{recurring_run['recurring_run_id']}"


def test_a_schedule_takes_the_place_of_the_one_of_its_name(kubeflow):
    schedule(kubeflow, "0 2 * * *")
    schedule(kubeflow, "0 3 * * *")
    schedule(kubeflow, "0 4 * * *", "another")
    crons = {
        recurring_run["display_name"]: recurring_run["trigger"]["cron_schedule"]["cron"]
        for recurring_run in kubeflow.all("recurringruns")
    }
    assert crons == {"nightly": "0 0 3 * * *", "another": "0 0 4 * * *"}
    assert len(kubeflow.all("recurringruns")) == 2


def test_a_refused_schedule_leaves_the_one_before(kubeflow):
    schedule(kubeflow)
    kubeflow.refusal = "quota exceeded"
    with pytest.raises(VisageError, match=r"400.*quota exceeded"):
        schedule(kubeflow, "0 3 * * *")
    assert len(kubeflow.all("recurringruns")) == 1


def test_a_schedule_is_ended_by_its_name(kubeflow):
    schedule(kubeflow)
    schedule(kubeflow, name="another")
    assert client.unschedule(client.Server(kubeflow.host), "nightly") == 1
    assert [recurring_run["display_name"] for recurring_run in kubeflow.all("recurringruns")] == ["another"]
    assert client.unschedule(client.Server(kubeflow.host), "nightly") == 0


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("", "0 fields"),
        ("daily", "1 field"),
        ("0 2 * *", "4 fields"),
        ("0 0 2 * * *", "6 fields"),
        ("60 2 * * *", "'60' as minute, which is 0 to 59"),
        ("0 24 * * *", "'24' as hour, which is 0 to 23"),
        ("0 2 0 * *", "'0' as day of the month, which is 1 to 31"),
        ("0 2 * 13 *", "'13' as month, which is 1 to 12"),
        ("0 2 * * 7", "'7' as day of the week, which is 0 to 6, Sunday is 0"),
        ("0 2 * * 1-7", "Sunday is 0"),
        ("0 2 * * sunday", "'sunday' as day of the week"),
        ("0 2 * mon *", "'mon' as month"),
        ("0 5-2 * * *", "'5-2' as hour, which ends before it begins"),
        ("*/0 2 * * *", "steps of 0 as minute"),
        ("0 2, * * *", "'' as hour"),
        ("0 2 * * *;", "'*;' as day of the week"),
        ("0 2 L * *", "'L' as day of the month"),
        ("-1 2 * * *", "'-1' as minute"),
    ],
)
def test_times_that_are_none_are_a_wrong_setting_that_names_the_field(cron, message):
    with pytest.raises(VisageError, match="does not say when to run") as raised:
        client.schedule(recipe.load("default", [PHOTOS]), PROFILE, client.Server("http://nowhere"), cron, "x")
    assert message in raised.value.message
    assert raised.value.usage


@pytest.mark.parametrize("cron", ["0 2 * * *", "*/15 8-18 * * mon-fri", "0,30 2 1,15 JAN-jun ?", "5/10 * 31 12 0"])
def test_times_are_given_to_kubeflow_with_the_second_in_front(cron):
    assert with_seconds(cron) == f"0 {cron}"


def test_a_server_that_is_away_is_one_message():
    with pytest.raises(VisageError, match="does not answer"):
        client.submit(recipe.load("default", [PHOTOS]), PROFILE, client.Server("http://127.0.0.1:9"))


def test_a_server_of_another_kind_is_one_message(kubeflow):
    server = client.Server(f"{kubeflow.host}/elsewhere")
    with pytest.raises(VisageError, match="is not a Kubeflow Pipelines server"):
        client.unschedule(server, "nightly")


def test_an_address_with_a_blank_is_one_message():
    with pytest.raises(VisageError, match="is not a Kubeflow Pipelines server"):
        client.unschedule(client.Server("http://local host:8080"), "nightly")


def test_an_address_that_is_none_is_a_wrong_setting():
    with pytest.raises(VisageError, match="no address") as raised:
        client.unschedule(client.Server("file:///etc"), "nightly")
    assert raised.value.usage


def test_what_is_scheduled_is_listed_by_name(kubeflow):
    assert client.schedules(client.Server(kubeflow.host)) == []
    schedule(kubeflow)
    schedule(kubeflow, "30 4 * * mon", "another")
    client.pause(client.Server(kubeflow.host), "another", paused=True)
    listed = client.schedules(client.Server(kubeflow.host))
    assert [(entry.name, entry.cron, entry.paused) for entry in listed] == [
        ("another", "30 4 * * mon", True),
        ("nightly", "0 2 * * *", False),
    ]


def test_schedules_of_all_pages_are_listed(kubeflow):
    kubeflow.page = 2
    for number in range(5):
        schedule(kubeflow, name=f"schedule {number}")
    assert len(client.schedules(client.Server(kubeflow.host))) == 5


def test_a_schedule_is_paused_and_resumed_by_its_name_alone(kubeflow):
    schedule(kubeflow)
    schedule(kubeflow, name="another")
    server = client.Server(kubeflow.host)
    client.pause(server, "nightly", paused=True)
    modes = {recurring_run["display_name"]: recurring_run["status"] for recurring_run in kubeflow.all("recurringruns")}
    assert modes == {"nightly": "DISABLED", "another": "ENABLED"}
    client.pause(server, "nightly", paused=False)
    assert {recurring_run["status"] for recurring_run in kubeflow.all("recurringruns")} == {"ENABLED"}
    with pytest.raises(VisageError, match="no schedule weekly") as raised:
        client.pause(server, "weekly", paused=True)
    assert raised.value.hint == "It has another, nightly."


def test_the_profiles_service_account_runs_the_pods(kubeflow):
    submit(kubeflow)
    schedule(kubeflow)
    assert [entry["service_account"] for kind in ("runs", "recurringruns") for entry in kubeflow.all(kind)] == [
        "visage"
    ] * 2


def test_what_only_kubernetes_knows_of_is_sent_too(kubeflow):
    """Secrets, volumes, nodes: the second document of the compiled file."""
    profile = ClusterProfile.model_validate({"secrets": [{"name": "bucket", "files": "/etc/bucket"}]})
    client.submit(recipe.load("default", [PHOTOS]), profile, client.Server(kubeflow.host))
    [run] = kubeflow.all("runs")
    pods = run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert {pod["secretAsVolume"][0]["secretName"] for pod in pods.values()} == {"bucket"}


def test_the_run_in_mlflow_is_given_the_address_of_the_one_in_kubeflow(kubeflow):
    submit(kubeflow)
    [run] = kubeflow.all("runs")
    arguments = run["pipeline_spec"]["deploymentSpec"]["executors"]["exec-train"]["container"]["args"]
    assert arguments[arguments.index("--kubeflow-ui") + 1] == kubeflow.host


def test_no_photos_are_told_before_the_server_is_asked():
    host = "http://127.0.0.1:9"
    for start in (
        lambda chosen: client.submit(chosen, PROFILE, client.Server(host)),
        lambda chosen: client.schedule(chosen, PROFILE, client.Server(host), "0 2 * * *", "nightly"),
    ):
        with pytest.raises(VisageError, match=r"source\.path is empty"):
            start(recipe.load("default"))
        with pytest.raises(VisageError, match="No pod of the cluster can see"):
            start(recipe.load("default", ["source.path=imdb_crop"]))


class TestAServerThatKeepsUsersApart:
    @pytest.fixture(autouse=True)
    def multi_user(self, kubeflow, monkeypatch):
        kubeflow.token = "secret-1"
        monkeypatch.delenv(client.TOKEN, raising=False)

    def submit(self, server, token_file=None, namespace="anna"):
        named_server = client.Server(server.host, namespace, "photos", token_file)
        return client.submit(recipe.load("default", [PHOTOS]), PROFILE, named_server)

    def test_is_shown_the_token_of_a_file(self, kubeflow, tmp_path):
        (tmp_path / "token").write_text("secret-1\n")
        self.submit(kubeflow, tmp_path / "token")
        assert len(kubeflow.all("runs")) == 1

    def test_is_shown_the_token_of_the_environment(self, kubeflow, monkeypatch):
        monkeypatch.setenv(client.TOKEN, "secret-1")
        self.submit(kubeflow)
        assert len(kubeflow.all("runs")) == 1

    def test_is_shown_the_token_of_the_pods_service_account(self, kubeflow, monkeypatch, tmp_path):
        (tmp_path / "token").write_text("secret-1")
        monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
        self.submit(kubeflow)
        assert len(kubeflow.all("runs")) == 1

    def test_refuses_whoever_shows_none_or_another_and_the_message_says_how_to(self, kubeflow, tmp_path):
        (tmp_path / "token").write_text("secret-2")
        for file in (None, tmp_path / "token"):
            with pytest.raises(VisageError, match="refuses: 401") as raised:
                self.submit(kubeflow, file)
            assert "--token-file" in raised.value.hint and "secret" not in str(raised.value)

    def test_is_not_asked_without_a_namespace(self, kubeflow, monkeypatch):
        monkeypatch.setenv(client.TOKEN, "secret-1")
        with pytest.raises(VisageError, match="keeps users apart") as raised:
            self.submit(kubeflow, namespace="")
        assert "--namespace" in raised.value.hint

    def test_takes_runs_in_an_experiment_of_the_namespace_that_is_there(self, kubeflow, monkeypatch):
        monkeypatch.setenv(client.TOKEN, "secret-1")
        self.submit(kubeflow)
        self.submit(kubeflow)
        [experiment] = kubeflow.all("experiments")
        assert (experiment["display_name"], experiment["namespace"]) == ("photos", "anna")
        assert {run["experiment_id"] for run in kubeflow.all("runs")} == {experiment["experiment_id"]}


def test_from_the_command_line(kubeflow, capsys):
    where = ["--host", f"{kubeflow.host}/"]
    assert main(["submit", "--set", PHOTOS, *where]) == 0
    assert main(["schedule", "--cron", "0 2 * * *", "--set", PHOTOS, *where]) == 0
    for verb in ("--pause", "--list", "--resume", "--list", "--remove", "--list"):
        assert main(["schedule", verb, *where]) == 0
    run, schedule, paused, one, resumed, same, ended, none = capsys.readouterr().out.splitlines()
    assert (paused, one) == ("visage: paused", "visage  0 2 * * *  paused")
    assert (resumed, same) == ("visage: resumed", "visage  0 2 * * *")
    assert none == "Nothing is scheduled."
    assert run.startswith(f"{kubeflow.host}/#/runs/details/")
    assert schedule.startswith(f"{kubeflow.host}/#/recurringrun/details/")
    assert ended == "visage: 1 schedule ended"
    assert not kubeflow.all("recurringruns")
