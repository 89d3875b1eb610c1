from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from tests.servers.hub import Hub, hub_server
from trainers.data.dataset import load_task
from trainers.data.hub import hub_commit
from trainers.data.settings import DatasetTask, SplitSizes

FIRST, SECOND = ("0123456789" * 4, "abcdef0123" * 4)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback whose data set has two commits, with other labels in each; main is the second."""
    with hub_server() as (endpoint, hub):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", endpoint)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
        hub.commits = {"someone/reviews": SECOND}
        hub.files = {commit: {"train.jsonl": rows(of)} for of, commit in enumerate((FIRST, SECOND))}
        yield hub


def rows(turned: int) -> bytes:
    """Forty texts, whose labels are turned or not."""
    return "".join(f'{{"text": "t{i}", "label": {(i + turned) % 2}}}\n' for i in range(40)).encode()


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_branch_means_a_commit_also_without_the_hub(
    hub: Hub, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert hub_commit("someone/reviews", None, kind) == SECOND
    assert hub_commit("someone/reviews", FIRST, kind) == FIRST
    assert hub_commit("nobody/nothing", None, kind) is None
    assert hub_commit(str(tmp_path), None, kind) is None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.asked.clear()
    assert hub_commit("someone/reviews", "main", kind) == SECOND, "from the cache"
    assert hub_commit("someone/unheard-of", None, kind) is None
    assert hub.asked == []


def test_a_data_set_is_loaded_at_its_revision(hub: Hub) -> None:
    sizes = SplitSizes(weak_train=8, transfer=8, search=8, test=8)
    task = DatasetTask(path="someone/reviews", splits=sizes)
    first, second = (load_task(task.model_copy(update={"revision": commit})) for commit in (FIRST, SECOND))
    assert first.inputs == second.inputs
    for split in first.truth:
        assert first.truth[split].tolist() == (1 - second.truth[split]).tolist()
