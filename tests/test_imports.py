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
    "transformers.modeling_utils",
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
        "search.steering.check",
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
    names = "import search; assert {'run', 'load', 'compare'} <= set(dir(search))"
    assert loaded_after(names, "from search import load, configure, methods; methods()") == [set(), set()]


CONFIG = "from search.config.load import load_config; from pathlib import Path; "


def test_a_config_and_a_typo_in_it_and_the_ability_of_a_generated_model_are_read_without_torch() -> None:
    typo = "try: load_config(Path('configs/dev.yaml'), ['search.trails=9'])\n"
    found = loaded_after(
        f"{CONFIG}load_config(Path('configs/dev.yaml'))",
        "load_config(Path('configs/qwen.yaml'))",
        f"{typo}except ValueError as error: assert 'did you mean trials?' in str(error)",
        "load_config(Path('configs/dev.yaml')).abilities",
        "import search.campaign",
    )
    assert found[:-1] == [set()] * 4
    # A driver tokenizes and trains nothing: it needs no models of transformers, which take seconds to import.
    assert found[-1] >= {"ray", "torch", "transformers"}, "what is heavy is not noticed"
    assert "transformers.modeling_utils" not in found[-1]


def test_the_status_of_a_run_is_told_without_torch(tmp_path: Path) -> None:
    run = f"run = new_run(Path({str(tmp_path / 'run')!r}), load_config(Path('configs/dev.yaml')))"
    status = "import search.__main__; search.__main__.main(['status', str(run.path), '--json'])"
    assert loaded(f"{CONFIG}from search.storage.run_directory import new_run; {run}\n{status}") == set()
