"""The manifests, as far as they can be checked without a cloud."""

import copy
import json
import re
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv
from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

from cluster.inventory import groups_of_ray_up
from cluster.jobs import STOP_SETTINGS
from cluster.resources import NodeGroup
from search.config.load import load_config
from tests.command_line import parse

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "cluster" / "manifests"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGE = f"REGISTRY/weak-to-strong-search:{PROJECT['version']}"
RAY = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]  # type: ignore[index]
RAY_UP = ["aws.yaml", "gcp.yaml"]
KUBERAY = ["raycluster.yaml", "raycluster-gpus.yaml", "rayjob.yaml"]


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((MANIFESTS / name).read_text())
    return content


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_up_accepts_it(name: str) -> None:
    validate_config(prepare_config(read(name)))


def test_rays_validator_notices_a_mistake() -> None:
    config = read("aws.yaml") | {"max_worker": 3}
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        validate_config(prepare_config(config))


@pytest.mark.parametrize("name", RAY_UP)
def test_the_head_has_no_gpu_and_workers_are_spot_and_come_when_needed(name: str) -> None:
    config = read(name)
    head = config["available_node_types"]["head"]
    assert head["resources"] == {"CPU": 0}
    assert "--num-cpus=0" in config["head_start_ray_commands"][-1]
    assert "spot" in json.dumps(config).lower() or '"preemptible": true' in json.dumps(config)
    assert groups_of_ray_up(config) == [NodeGroup(resources={"CPU": 8, "GPU": 1}, at_most=16)]
    assert any("/shared" in command for command in config["initialization_commands"])
    assert "--volume /shared:/shared" in config["docker"]["run_options"]


SCHEMA = json.loads((Path(__file__).parent / "kuberay_schema.json").read_text())


SKYPILOT = json.loads((Path(__file__).parent / "skypilot_schema.json").read_text())


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_accepts_it(name: str) -> None:
    jsonschema.validate(read(name), SCHEMA)


def test_the_schema_notices_a_mistake() -> None:
    wrong = copy.deepcopy(read("rayjob.yaml"))
    wrong["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 8
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_skypilot_accepts_its_file_and_its_schema_notices_a_mistake() -> None:
    task = read("skypilot.yaml")
    jsonschema.validate(task, SKYPILOT)
    for wrong in ({"num_node": 2}, {"resources": {"accelerator": "L4"}}, {"envs": {"A": 1}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(task | wrong, SKYPILOT)


@pytest.mark.parametrize("part", ["setup", "run"])
def test_skypilots_commands_are_sound(part: str) -> None:
    tool = Path(sys.executable).parent / "shellcheck"
    script = read("skypilot.yaml")[part]
    told = subprocess.run(
        [tool, "--shell=bash", "--exclude=SC1090,SC1091", "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    assert not re.search(
        r"^[^#]*ray (stop|symmetric-run)", script, re.MULTILINE
    )  # SkyPilot's own Ray would end


def test_each_kind_of_gpu_is_a_label_that_trials_can_ask_for() -> None:
    spec = read("raycluster-gpus.yaml")["spec"]
    assert spec["autoscalerOptions"]["version"] == "v2"  # the first that looks at labels
    labels = [group["labels"] for group in spec["workerGroupSpecs"]]
    assert labels == [{"ray.io/accelerator-type": kind} for kind in ("H100", "L4")]
    assert (
        len({json.dumps(group["template"]["spec"]["nodeSelector"]) for group in spec["workerGroupSpecs"]})
        == 2
    )
    comment = (MANIFESTS / "raycluster-gpus.yaml").read_text().partition("apiVersion")[0]
    [asked] = re.findall(r"--set (trial\.labels='[^']+')", comment)
    config = load_config(ROOT / "configs" / "qwen.yaml", [asked.replace("'", "")])
    assert config.trial.placement["bundle_label_selector"][0] in labels


def test_the_job_runs_on_the_cluster_of_the_other_manifest() -> None:
    assert read("rayjob.yaml")["spec"]["rayClusterSpec"] == read("raycluster.yaml")["spec"]


def test_as_many_trials_at_once_as_pods_may_come() -> None:
    job = read("rayjob.yaml")["spec"]
    options = parse(shlex.split(job["entrypoint"])[3:])
    config = load_config(ROOT / options["config"], options["overrides"])
    assert config.trial.elastic
    assert config.trial.concurrent == job["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"]
    environment = yaml.safe_load(job["runtimeEnvYAML"])
    assert RuntimeEnv(**environment)["working_dir"].startswith("file://")  # Ray checks its fields
    assert environment["env_vars"] == STOP_SETTINGS


def test_versions_are_those_of_the_project() -> None:
    for name in RAY_UP:
        assert read(name)["docker"]["image"] == IMAGE
    for name in KUBERAY:
        images = re.findall(r"image: (\S+)", (MANIFESTS / name).read_text())
        assert set(images) == {IMAGE}
        assert set(re.findall(r'rayVersion: "(\S+)"', (MANIFESTS / name).read_text())) == {RAY}
    dockerfile = (MANIFESTS / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE) == [f"rayproject/ray:{RAY}-py311"]
    assert IMAGE in dockerfile


def test_the_image_holds_dependencies_only() -> None:
    dockerfile = (MANIFESTS / "Dockerfile").read_text()
    assert re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) == ["pyproject.toml constraints.txt ./"]
    listing = re.search(r'python -c "(.+)"', dockerfile)
    assert listing is not None
    told = subprocess.run(
        [sys.executable, "-c", listing[1].replace(r"\n", "\n").replace("sep='\n'", r"sep='\n'")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == PROJECT["dependencies"]


def spec_of(name: str) -> dict[str, Any]:
    """The cluster's part of a manifest of KubeRay."""
    spec: dict[str, Any] = read(name)["spec"]
    return spec.get("rayClusterSpec", spec)


def pods_of(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The pod templates of the head and of the workers."""
    spec = spec_of(name)
    return spec["headGroupSpec"]["template"], [group["template"] for group in spec["workerGroupSpecs"]]


@pytest.mark.parametrize("name", KUBERAY)
def test_who_has_no_token_is_refused(name: str) -> None:
    assert spec_of(name)["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("name", RAY_UP)
def test_every_node_of_ray_up_asks_for_the_users_token(name: str) -> None:
    config = read(name)
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        assert config[key][-1].startswith("export RAY_AUTH_MODE=token;")
    assert config["file_mounts"] == {"/home/ray/.ray/auth_token": "~/.ray/auth_token"}
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]


@pytest.mark.parametrize("name", KUBERAY)
def test_keys_are_mounted_on_the_head_alone_and_stand_in_no_environment(name: str) -> None:
    head, workers = pods_of(name)
    mounted = [volume for volume in head["spec"]["volumes"] if "secret" in volume]
    assert [volume["secret"]["secretName"] for volume in mounted] == ["weak-to-strong-keys"]
    [container] = head["spec"]["containers"]
    [place] = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "keys"]
    assert container["env"] == [{"name": "KEYS", "value": f"{place}/keys.env"}]
    assert "envFrom" not in container
    assert "weak-to-strong-keys" not in json.dumps(workers)


@pytest.mark.parametrize("name", RAY_UP)
def test_no_folder_that_workers_mount_holds_keys(name: str) -> None:
    assert "keys" not in json.dumps(read(name))  # comments aside: they say how the head alone gets them
    for word in ("rsync-up", "/home/ray/.weak-to-strong-keys"):
        assert word in (MANIFESTS / name).read_text()


def test_only_the_cluster_its_operator_and_its_job_reach_a_pod() -> None:
    policy = read("networkpolicy.yaml")["spec"]
    labels = policy["podSelector"]["matchLabels"]
    for name in KUBERAY:
        head, workers = pods_of(name)
        assert all(pod["metadata"]["labels"] == labels for pod in (head, *workers))
        ports = {port["name"]: port["containerPort"] for port in head["spec"]["containers"][0]["ports"]}
        assert ports == {"gcs": 6379, "dashboard": 8265}  # not Ray client's
    assert policy["policyTypes"] == ["Ingress"]
    themselves, others = policy["ingress"]
    assert themselves == {"from": [{"podSelector": {"matchLabels": labels}}]}
    assert [port["port"] for port in others["ports"]] == [8265]
    submitter = {"podSelector": {"matchLabels": {"job-name": read("rayjob.yaml")["metadata"]["name"]}}}
    assert others["from"][1] == submitter
    assert all(peer["podSelector"]["matchLabels"] for peer in others["from"])


def test_no_key_stands_in_a_manifest() -> None:
    for path in MANIFESTS.iterdir():
        for name, value in re.findall(
            r"(ANTHROPIC_API_KEY|WANDB_API_KEY)\b['\"]?[:=]\s*(\S*)", path.read_text()
        ):
            assert value.startswith("..."), f"{path.name}: {name}"


def test_shellcheck_has_nothing_to_say_of_the_script() -> None:
    tool = Path(sys.executable).parent / "shellcheck"
    told = subprocess.run([tool, MANIFESTS / "slurm.sh"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_the_slurm_script_says_how_it_is_called() -> None:
    told = subprocess.run(["bash", MANIFESTS / "slurm.sh"], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "usage: sbatch" in told.stderr


STAND_INS = {
    "scontrol": 'if [ "$1" = show ]; then echo first; echo second; else echo "$@" > "$FAKE/requeued"; fi',
    "srun": 'while [ "$1" != ray ]; do shift; done; exec "$@"',
    "ray": 'echo "$@" > "$FAKE/ray"; while [ "$1" != -- ]; do shift; done; shift; "$@"; exit $?',
    "python": 'echo -e "$ADDRESS $RAY_ADDRESS $SOME_KEY\n$@" > "$FAKE/driver"; eval "$DRIVER"',
}


def slurm(fake: Path, driver: str) -> subprocess.Popen[str]:
    """The Slurm script with stand-ins for Slurm, for Ray and for the driver, which does this."""
    for name, does in STAND_INS.items():
        (fake / name).write_text(f"#!/usr/bin/env bash\n{does}\n")
        (fake / name).chmod(0o755)
    (fake / "keys").write_text("SOME_KEY=abc\n")
    environment = {"PATH": f"{fake}:/usr/bin:/bin", "HOME": str(fake), "KEYS": str(fake / "keys")}
    environment |= {"FAKE": str(fake), "DRIVER": driver, "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "x"}
    script = [MANIFESTS / "slurm.sh", "c.yaml", "/shared/out", "--set", "seed=2"]
    return subprocess.Popen(["bash", *script], env=environment, stderr=subprocess.PIPE, text=True)


def test_the_slurm_script_runs_the_driver_on_the_first_node_and_ends_as_it_ends(tmp_path: Path) -> None:
    job = slurm(tmp_path, "exit 3")
    job.communicate(timeout=30)
    assert job.returncode == 3
    assert not (tmp_path / "requeued").exists()
    ray = (tmp_path / "ray").read_text().split()
    assert curate_and_validate_ray_start_args(ray[1 : ray.index("--")]) == ["--num-cpus=1"]
    assert ray[1:5] == ["--address", "first:20007", "--min-nodes", "2"]
    addresses, run = (tmp_path / "driver").read_text().splitlines()
    assert addresses == "first:20007 first:20007 abc"
    assert run == "-m search run c.yaml --out /shared/out --set seed=2"


def test_a_job_that_is_told_to_stop_saves_itself_and_is_queued_again(tmp_path: Path) -> None:
    job = slurm(tmp_path, 'trap "exit 130" TERM; touch "$FAKE/ready"; while true; do sleep 0.05; done')
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    job.terminate()
    job.communicate(timeout=30)
    assert job.returncode == 130
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
