"""A check as text."""

from typing import Any

from rich.console import Console

from search.preflight.summary import duration, summary, warnings

FOUND: dict[str, Any] = {
    "name": "reviews",
    "data": {
        "kind": "single texts",
        "splits": {"weak_train": 10, "transfer": 20, "search": 30, "test": 40},
        "class_1": 0.5,
        "lost": [],
        "truncated": {"weak.model": 0.0, "strong.model": 0.25},
    },
    "models": {
        role: {
            "model": f"a/{role}",
            "student": "full",
            "parameters": 4_400_000,
            "tokens_mean": 20.4,
            "tokens_most": 128,
        }
        for role in ("weak", "strong")
    },
    "steps": {"naive": 200, "rungs": [0.1, 1.0], "first_rung": 23, "merged": None},
    "memory": {
        "trial_gb": 1.2,
        "device": "CPU",
        "there_gb": 16.0,
        "at_once": 2,
        "micro_batch": None,
        "checkpointing": None,
    },
    "disk": {"checkpoints_gb": 0.5, "free_gb": 60.0},
    "dollars": {"at_most": 5.0, "paid": True},
    "baselines_cached": 0,
    "seconds": {
        "start_s": 10.0,
        "worker_s": 6.0,
        "end_s": 3.0,
        "busy": 0.5,
        "trial_s": 21.0,
        "phases": [{"name": "search", "trainings": 40, "train_s": 7200.0, "wall_s": 3600.0}],
        "wall_s": 3613.0,
    },
}


def test_every_figure_is_said() -> None:
    console = Console(width=110)
    with console.capture() as capture:
        console.print(summary(FOUND))
    text = capture.get()
    for said in (
        "weak_train 10, transfer 20, search 30, test 40; 50% of class 1",
        "a/strong (full, 4.4 M parameters)",
        "25% of the examples truncated",
        "first judged after 23",
        "about 1.2 GB for a trial, 2 at once",
        "at most 0.5 GB, 60 GB free",
        "at most 5.00 (agent.max_usd)",
        "2.0 h",
        "21 s",
        "60 min",
        "result and report",
        "counted with the phases: 6 s to start workers, for the baselines, the search and each hidden task; "
        "not counted: the agent's answers, downloads,",
    ):
        assert said in " ".join(text.split()), said


def test_an_agent_that_is_not_paid_keeps_nobody_waiting() -> None:
    text = said(seconds=FOUND["seconds"], dollars=FOUND["dollars"] | {"paid": False})
    assert "not counted: downloads, uploads, waiting for room in a cluster, and trials that are lost" in text


def test_each_of_several_tasks_is_described_and_what_to_mind_names_it() -> None:
    parts = {key: FOUND[key] for key in ("data", "models", "steps")}
    uneven = parts | {"data": parts["data"] | {"class_1": 0.95, "lost": ["a.csv: of 9 rows left out: 2"]}}
    found = FOUND | {"tasks": [parts | {"name": "even"}, uneven | {"name": "odd"}]}
    console = Console(width=110)
    with console.capture() as capture:
        console.print(summary(found))
    text = " ".join(capture.get().split())
    assert (
        "data of even: single texts; weak_train 10, transfer 20, search 30, test 40; 50% of class 1" in text
    )
    assert "data of odd: single texts; weak_train 10, transfer 20, search 30, test 40; 95% of class 1" in text
    assert text.count("about 1.2 GB for a trial") == 1
    assert list(warnings(found)) == [
        "odd: a.csv: of 9 rows left out: 2",
        "odd: 95% of the examples are of class 1: accuracy says little of so uneven classes",
    ]


def test_without_times_there_is_no_table() -> None:
    console = Console(width=110)
    with console.capture() as capture:
        console.print(summary(FOUND | {"seconds": None}))
    assert "Predicted times" not in capture.get()


def test_what_may_spoil_a_run_is_minded() -> None:
    assert list(warnings(FOUND)) == []
    uneven = FOUND | {"data": FOUND["data"] | {"class_1": 0.95, "lost": ["a.csv: of 9 rows left out: 2"]}}
    assert [line.partition(":")[0] for line in warnings(uneven)] == [
        "a.csv",
        "95% of the examples are of class 1",
    ]
    busy = FOUND | {"seconds": FOUND["seconds"] | {"busy": 9.0}}
    assert [line[:30] for line in warnings(busy)] == ["9.0 processes wait for each co"]
    full = FOUND | {
        "memory": FOUND["memory"] | {"trial_gb": 9.0},
        "disk": {"checkpoints_gb": 59.0, "free_gb": 60.0},
        "steps": FOUND["steps"] | {"merged": "rungs are merged"},
    }
    merged, memory, disk = warnings(full)
    assert merged == "rungs are merged"
    assert "trials need about 18 GB of the 16 GB" in memory
    assert "checkpoints may take 59 GB of 60 GB free" in disk


def said(**more: Any) -> str:
    console = Console(width=110)
    with console.capture() as capture:
        console.print(summary(FOUND | {"seconds": None} | more))
    return " ".join(capture.get().split())


def test_pieces_and_gpu_hours_are_said_where_they_are_known() -> None:
    assert "micro-batches" not in said()
    assert "GPU-hours" not in said(dollars=FOUND["dollars"] | {"gpu_hours": 0.0, "gpu_usd": None})
    asked = said(dollars=FOUND["dollars"] | {"gpu_hours": 0.0, "gpu_usd": 0.0})
    assert "GPU-hours: 0 (trials use no GPU on this machine), 0.00 dollars" in asked
    memory = FOUND["memory"] | {"micro_batch": 8, "checkpointing": True}
    hours = FOUND["dollars"] | {"gpu_hours": 6.36, "gpu_usd": 22.26}
    text = said(memory=memory, dollars=hours)
    assert "for a trial in micro-batches of 8 with gradient checkpointing, 2 at once" in text
    assert "GPU-hours: 6.36, 22.26 dollars" in text
    assert "GPU-hours: 6.36 dollars: at most" in said(dollars=hours | {"gpu_usd": None})


def test_durations_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.4, 99.0, 100.0, 5900.0, 9000.0)] == [
        "0 s",
        "99 s",
        "2 min",
        "98 min",
        "2.5 h",
    ]
