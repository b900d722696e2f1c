import pytest

from analysis.results.load import load_results
from search_spaces.errors import UserError

mlflow = pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def store(simulate, arm, tmp_path_factory):
    """An MLflow store with a study's run as the mirror leaves it."""
    folder = tmp_path_factory.mktemp("mlflow")
    study = simulate((arm("baseline", 0.7), arm("other", 0.5)), subjects=4)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri)
    identity = client.create_experiment("toy", (folder / "artifacts").as_uri())
    client.create_experiment("empty", (folder / "artifacts").as_uri())
    run = client.create_run(identity)
    for path in sorted(study.save(folder / "study").iterdir()):
        client.log_artifact(run.info.run_id, str(path))
    client.set_tag(run.info.run_id, "losolab.artifacts", '{"predictions.parquet": "0", "trials.parquet": "0"}')
    return uri, study


def test_an_experiment_is_its_study(store, monkeypatch):
    uri, study = store
    results = load_results(f"mlflow:{uri}#toy")
    assert results.predictions.equals(study.results().predictions) and results.metadata.name == "toy_study"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert load_results("mlflow:toy", baseline="other").metadata.baseline == "other"


def test_what_is_not_there_is_told(store, monkeypatch):
    uri, _ = store
    with pytest.raises(UserError, match="no experiment 'nobody' there; there are: Default, empty, toy"):
        load_results(f"mlflow:{uri}#nobody")
    with pytest.raises(UserError, match=r"no run holds predictions\.parquet"):
        load_results(f"mlflow:{uri}#empty")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match="no tracking URI"):
        load_results("mlflow:toy")


def test_an_address_that_mlflow_cannot_read_is_told():
    with pytest.raises(UserError, match="MLflow cannot read it"):
        load_results("mlflow:bogus://x#y")


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path):
    with pytest.raises(UserError, match="there is no MLflow store"):
        load_results(f"mlflow:sqlite:///{tmp_path}/typo/mlflow.db#toy")
    assert list(tmp_path.iterdir()) == []


def test_a_password_of_the_environment_is_not_printed(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")  # nobody listens there
    with pytest.raises(UserError, match="MLflow cannot read it") as refused:
        load_results("mlflow:toy")
    assert "secret" not in str(refused.value)
