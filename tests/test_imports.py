"""What a process loads: a schema costs no torch."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = {
    "anthropic",
    "datasets",
    "deepspeed",
    "fsspec",
    "obstore",
    "optuna",
    "pandas",
    "peft",
    "pyarrow",
    "ray",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "wandb",
}


def modules(*folders: str) -> list[str]:
    """The names of the modules in these folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).glob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def loaded_after(*statements: str) -> list[set[str]]:
    """The heavy libraries that a fresh process has loaded after each of these statements, run in turn."""
    tell = "import sys; sys.stderr.write(' '.join(['LOADED', *sys.modules]) + '\\n')"
    code = "\n".join(f"{statement}\n{tell}" for statement in statements)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("LOADED")]
    return [HEAVY & set(line.split()) for line in told]


def loaded(statement: str) -> set[str]:
    """The heavy libraries that a fresh process has loaded after a statement."""
    return loaded_after(statement)[-1]


LIGHT = {
    "ledger": modules("search/ledger"),
    "config": modules("search/config"),
    "policy": modules("search/policy"),
    "language": modules("agents/language"),
    "findings": modules("agents/findings"),
    "playbook": modules("agents/playbook"),
    "settings": [
        "agents.settings",
        "trainers.method",
        "trainers.data.settings",
        "trainers.models.settings",
        "trainers.training.settings",
        "trainers.training.memory.room",
        *modules("trainers/components", "trainers/components/formulas"),
    ],
    "status": [
        "search.output.live_view.progress",
        "search.output.live_view.view",
        "search.steering.order",
        "search.storage.run_directory",
        "search.storage.object_store",
    ],
}


def test_a_schema_costs_no_torch() -> None:
    """In one process: nothing heavy is loaded by the first room, nor by any that follows."""
    assert all(LIGHT.values())
    found = loaded_after(*(f"import {', '.join(names)}" for names in LIGHT.values()))
    assert dict(zip(LIGHT, found, strict=True)) == {room: set() for room in LIGHT}


def test_the_package_itself_is_light_and_names_its_api() -> None:
    assert loaded("import search; assert {'run', 'load', 'compare'} <= set(dir(search))") == set()
    assert loaded("from search import load, configure, methods; methods()") == set()


def test_what_is_heavy_is_noticed() -> None:
    assert "torch" in loaded("import trainers.models.head")


CONFIG = "from search.config.load import load_config; from pathlib import Path; "


def test_a_config_is_read_without_torch() -> None:
    assert loaded(f"{CONFIG}load_config(Path('configs/dev.yaml'))") == set()
    assert loaded(f"{CONFIG}load_config(Path('configs/qwen.yaml'))") == set()


def test_a_typo_in_a_config_is_answered_without_torch() -> None:
    typo = f"{CONFIG}\ntry: load_config(Path('configs/dev.yaml'), ['search.trails=9'])\n"
    assert loaded(f"{typo}except ValueError as error: assert 'did you mean trials?' in str(error)") == set()


def test_the_status_of_a_run_is_told_without_torch(tmp_path: Path) -> None:
    run = f"run = new_run(Path({str(tmp_path / 'run')!r}), load_config(Path('configs/dev.yaml')))"
    status = "import search.__main__; search.__main__.main(['status', str(run.path), '--json'])"
    assert loaded(f"{CONFIG}from search.storage.run_directory import new_run; {run}\n{status}") == set()


def test_the_ability_of_a_generated_model_is_known_without_torch() -> None:
    assert loaded(f"{CONFIG}load_config(Path('configs/dev.yaml')).abilities") == set()
