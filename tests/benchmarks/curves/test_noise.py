import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.curves.data import Curves
from benchmarks.curves.noise import EXAMPLES, FLOOR, GAP, LEAST, SEED_SD, NoisyTask, main, summary

ROWS, EVALUATIONS = 40, 9


def curves(rows: int = ROWS) -> Curves:
    """One task whose rows end, after falling, at evenly spaced losses from 0 to 1."""
    final = np.linspace(0, 1, rows)
    falling = final[:, None] + 1 / np.arange(1, EVALUATIONS + 1) - 1 / EVALUATIONS
    hp = np.stack([final, final[::-1]], axis=1)
    return Curves(validation=falling[None], test=falling[None], hp=hp, tasks=("line",))


def test_the_lowest_loss_is_a_pgr_of_one_and_the_median_of_none() -> None:
    task = NoisyTask(curves(rows=5), 0, seed=0)
    # Final losses 0, 1/4, 1/2, 3/4, 1: the median is 1/2, and so is its distance from the lowest.
    assert task.pgr[:, -1] == pytest.approx([1, 0.5, 0, -0.5, -1])
    # After one evaluation they are higher by 1 - 1/9.
    assert task.pgr[0, 0] == pytest.approx(1 - 2 * 8 / 9)
    assert task.pgr.min() == LEAST
    assert [task.is_best_decile(float(pgr)) for pgr in task.pgr[:, -1]] == [True, False, False, False, False]


def test_a_score_has_the_noise_of_its_seed_and_of_its_examples() -> None:
    task = NoisyTask(curves(), 0, seed=0)
    row = ROWS // 2
    scores = np.array([task.score(row, EVALUATIONS, seed) for seed in range(300)])
    assert task.score(row, EVALUATIONS, 0) == scores[0]  # luck stays with the seed
    accuracy = FLOOR + GAP * task.pgr[row, -1]
    # Examples are shared, so that of their error most is the same for all seeds.
    examples = np.sqrt(accuracy * (1 - accuracy) / EXAMPLES) / GAP
    assert scores.mean() == pytest.approx(task.pgr[row, -1], abs=3 * examples)
    assert SEED_SD * 0.9 < scores.std() < np.hypot(SEED_SD, examples) * 1.1


def test_figures_of_wins_by_hand() -> None:
    # Three of four: sqrt(3/4 * 1/4 / 4) = 0.2165. PGRs 1, 0.8, 0.6, 0: deviation 0.4320, over 2: 0.2160.
    assert summary([(True, 1.0), (True, 0.8), (True, 0.6), (False, 0.0)]) == {
        "best_decile": 0.75,
        "best_decile_se": 0.2165,
        "true_pgr": 0.6,
        "true_pgr_se": 0.216,
    }
    assert summary([(True, 1.0)])["true_pgr_se"] == 0


def test_the_command_lets_both_search_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = curves()
    loss = np.stack([task.validation, task.test], axis=2).astype(np.float32)
    path, out = tmp_path / "curves.npz", tmp_path / "noise.json"
    names = np.array(["a", "b"])
    np.savez(path, loss=loss, hp=task.hp, tasks=np.array(task.tasks), hp_names=names)
    arguments = ["--curves", str(path), "--seeds", "1", "--trials", "16", "--workers", "2", "--out", str(out)]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text())
    assert (result["seeds"], result["trials"]) == (1, 16)
    assert set(result["methods"]) == {"ours", "asha"}
    ours = result["methods"]["ours"]
    assert ours["best_decile"] in (0, 1)
    assert ours["true_pgr"] > 0.5  # better than three of four rows, which chance is in one case of four


def test_no_trials_are_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--curves", str(tmp_path / "none.npz"), "--trials", "0"])
    assert stopped.value.code == 2
    assert "must be at least 1" in capsys.readouterr().err
