from pathlib import Path

import torch

from trainers.components.staging.stage import Stage
from trainers.components.students import Student
from trainers.models.head import new_head
from trainers.trial.kept_models import keeper, kept_weights


def student(seed: int) -> Student:
    head = new_head(4, seed)
    return Student(module=head, parameters=[head.weight], layer=1)


def test_trained_weights_are_kept_a_file_a_member(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "c1"
    keep = keeper(folder)
    members = [student(seed) for seed in (1, 2)]
    for member, trained in enumerate(members):
        keep(Stage(member=member), trained)
    assert sorted(file.name for file in folder.iterdir()) == ["member-0.safetensors", "member-1.safetensors"]
    for trained, weights in zip(members, kept_weights(folder), strict=True):
        assert weights.keys() == {"weight"}  # the bias was not trained
        assert torch.equal(weights["weight"], trained.parameters[0])


def test_nothing_kept_is_an_empty_list(tmp_path: Path) -> None:
    assert kept_weights(tmp_path / "nowhere") == []
