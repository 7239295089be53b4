"""Runs and schedules on a Kubeflow Pipelines server, as far as the server's interface goes."""

import pytest

from pipeline import dag, recipe
from pipeline.cli import main
from pipeline.kubeflow import client
from pipeline.kubeflow.compile import Containers
from pipeline.kubeflow.cron import with_seconds
from schemas.error import VisageError
from tests.pipeline.kubeflow.kubeflow_server import serving

pytest.importorskip("kfp", reason="the extra [kubeflow] is not installed")

CONTAINERS = Containers("registry/visage:1", "http://mlflow:5000")


@pytest.fixture
def kubeflow():
    with serving() as server:
        yield server


def submit(server, *overrides):
    return client.submit(recipe.load("default", overrides), CONTAINERS, client.Server(server.host))


def schedule(server, cron="0 2 * * *", name="nightly"):
    return client.schedule(recipe.load("default"), CONTAINERS, client.Server(server.host), cron, name)


def test_a_run_is_the_whole_dag_with_the_recipes_settings(kubeflow):
    submit(kubeflow, "train.epochs=3")
    [run] = kubeflow.all("runs")
    spec = run["pipeline_spec"]
    assert set(spec["root"]["dag"]["tasks"]) == {"exit-handler-1", "end-run"}
    steps = spec["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert set(steps) == {step.name for step in dag.STEPS}
    assert spec["root"]["inputDefinitions"]["parameters"]["settings"]["defaultValue"] == {"train": {"epochs": 3}}


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
    assert [held["display_name"] for held in kubeflow.all("experiments")] == ["visage"]


def test_a_schedule_runs_one_at_a_time_and_makes_up_for_none(kubeflow):
    address = schedule(kubeflow, "30 2 * * mon-fri")
    [held] = kubeflow.all("recurringruns")
    assert held["trigger"]["cron_schedule"]["cron"] == "0 30 2 * * mon-fri"
    assert (held["max_concurrency"], held["no_catchup"], held["mode"]) == (1, True, "ENABLE")
    assert address == f"{kubeflow.host}/#/recurringrun/details/{held['recurring_run_id']}"


def test_a_schedule_takes_the_place_of_the_one_of_its_name(kubeflow):
    schedule(kubeflow, "0 2 * * *")
    schedule(kubeflow, "0 3 * * *")
    schedule(kubeflow, "0 4 * * *", "another")
    crons = {held["display_name"]: held["trigger"]["cron_schedule"]["cron"] for held in kubeflow.all("recurringruns")}
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
    assert [held["display_name"] for held in kubeflow.all("recurringruns")] == ["another"]
    assert client.unschedule(client.Server(kubeflow.host), "nightly") == 0


@pytest.mark.parametrize(
    ("cron", "told"),
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
def test_times_that_are_none_are_a_wrong_setting_that_names_the_field(cron, told):
    with pytest.raises(VisageError, match="does not say when to run") as raised:
        client.schedule(recipe.load("default"), CONTAINERS, client.Server("http://nowhere"), cron, "x")
    assert told in raised.value.message
    assert raised.value.usage


@pytest.mark.parametrize("cron", ["0 2 * * *", "*/15 8-18 * * mon-fri", "0,30 2 1,15 JAN-jun ?", "5/10 * 31 12 0"])
def test_times_are_given_to_kubeflow_with_the_second_in_front(cron):
    assert with_seconds(cron) == f"0 {cron}"


def test_a_server_that_is_away_is_one_message():
    with pytest.raises(VisageError, match="does not answer"):
        client.submit(recipe.load("default"), CONTAINERS, client.Server("http://127.0.0.1:9"))


def test_a_server_of_another_kind_is_one_message(kubeflow):
    server = client.Server(f"{kubeflow.host}/elsewhere")
    with pytest.raises(VisageError, match="is not a Kubeflow Pipelines server"):
        client.unschedule(server, "nightly")


def test_an_address_with_a_blank_is_one_message():
    with pytest.raises(VisageError, match="is not a Kubeflow Pipelines server"):
        client.unschedule(client.Server("http://local host:8080"), "nightly")


def test_an_address_that_is_none_is_a_wrong_setting():
    with pytest.raises(VisageError, match="no address") as told:
        client.unschedule(client.Server("file:///etc"), "nightly")
    assert told.value.usage


def test_from_the_command_line(kubeflow, capsys):
    where = ["--host", f"{kubeflow.host}/"]
    assert main(["submit", *where]) == 0
    assert main(["schedule", "--cron", "0 2 * * *", *where]) == 0
    assert main(["schedule", "--remove", *where]) == 0
    run, schedule, ended = capsys.readouterr().out.splitlines()
    assert run.startswith(f"{kubeflow.host}/#/runs/details/")
    assert schedule.startswith(f"{kubeflow.host}/#/recurringrun/details/")
    assert ended == "visage: 1 schedule ended"
    assert not kubeflow.all("recurringruns")
