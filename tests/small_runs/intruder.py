"""Attacks on a running Ray: a driver on this machine, one from another network, every open port."""

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

INTRUDER = """
import logging, sys, ray
ray.init(sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
print("IN", ray.get(ray.remote(num_cpus=0)(lambda: 1).remote(), timeout=60))
"""
PATIENCE_S = 180
HERE, THERE = "10.213.7.1", "10.213.7.2"  # the two ends of the wire between the namespaces
PAGES = ("/", "/logs", "/api/version", "/api/jobs/", "/nodes?view=summary", "/logical/actors")


def entered(address: str, credentials: Mapping[str, str] | None = None, across: Sequence[str] = ()) -> bool:
    """Whether a driver of its own gets a task run by the Ray at an address.

    credentials: the variables of Ray's authentication that it has. across: the words before its command that
    bring it into another namespace.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    quick = {"RAY_NUM_REDIS_GET_RETRIES": "1"}  # else Ray asks twenty times, a second apart
    told = subprocess.run(
        [*across, sys.executable, "-c", INTRUDER, address],
        env=own | quick | dict(credentials or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return "IN 1" in told.stdout


@contextlib.contextmanager
def borders() -> Iterator[list[str] | str]:
    """A second network namespace, wired to this one: how to run a command there, or why there is none."""
    try:
        holder = subprocess.Popen(["unshare", "--net", "sleep", "600"], stderr=subprocess.DEVNULL)
    except OSError as error:
        yield f"no second namespace: {error}"
        return
    name = f"w2s{holder.pid}"
    inside = ["nsenter", "--net", "--target", str(holder.pid)]
    try:
        problem = _wire(holder, name, inside)
        yield problem or inside
    finally:
        holder.kill()  # the wire ends with the namespace
        holder.wait()


def _wire(holder: "subprocess.Popen[bytes]", name: str, inside: Sequence[str]) -> str | None:
    own = os.readlink("/proc/self/ns/net")
    with contextlib.suppress(OSError):
        deadline = time.monotonic() + 5
        while os.readlink(f"/proc/{holder.pid}/ns/net") == own and time.monotonic() < deadline:
            if holder.poll() is not None:
                return "no second namespace: unshare was refused, which needs root"
            time.sleep(0.02)
    steps = [
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "outside", "netns", str(holder.pid)],
        ["ip", "address", "add", f"{HERE}/30", "dev", name],
        ["ip", "link", "set", name, "up"],
        [*inside, "ip", "address", "add", f"{THERE}/30", "dev", "outside"],
        [*inside, "ip", "link", "set", "outside", "up"],
        [*inside, "ip", "route", "add", "default", "via", HERE],
    ]
    for step in steps:
        try:
            told = subprocess.run(step, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"no wire to a second namespace: {error}"
        if told.returncode:
            return f"no wire to a second namespace: {' '.join(told.stderr.split())}"
    return None


def listening(address: str) -> list[tuple[str, int]]:
    """Where the processes of the Ray at an address listen for TCP."""
    holders = {str(pid) for pid in family(address)}
    sockets = {
        found[1]: pid
        for pid in holders
        for link in _links(pid)
        if (found := re.match(r"socket:\[(\d+)\]", link))
    }
    places = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in sockets:
                host, port = parts[1].split(":")
                places.append((_host(host), int(port, 16)))
    return places


def _links(pid: str) -> list[str]:
    try:
        return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


def _host(written: str) -> str:
    """An address as /proc writes it: little-endian, all zero for every interface."""
    if int(written, 16) == 0 or len(written) > 8:
        return "every interface"
    return ".".join(str(byte) for byte in bytes.fromhex(written)[::-1])


def family(address: str) -> list[int]:
    """The processes of the Ray at an address: those whose command line or environment names its session."""
    session = None
    lines = {int(folder.name): _read(folder / "cmdline") for folder in Path("/proc").glob("[0-9]*")}
    for line in lines.values():
        if address in line and (found := re.search(r"session_[0-9_-]+", line)):
            session = found[0]
    if session is None:
        return []
    parents = {pid for pid, line in lines.items() if session in line}
    while more := {pid for pid in lines if _parent(pid) in parents} - parents:
        parents |= more
    return sorted(parents)


def _parent(pid: int) -> int:
    stat = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(stat[1]) if len(stat) > 1 else 0


def _read(file: Path) -> str:
    try:
        return file.read_text("latin-1")
    except OSError:  # it has ended, or is another user's
        return ""


def answers(places: Sequence[tuple[str, int]]) -> list[str]:
    """Pages that a port gives to whoever asks without a token; Prometheus' numbers aside."""
    given = []
    for host, port in places:
        for page in PAGES:
            target = "127.0.0.1" if host == "every interface" else host
            try:
                with urllib.request.urlopen(f"http://{target}:{port}{page}", timeout=2) as reply:
                    kind = reply.headers.get("content-type", "")
                    body = reply.read(200).decode("latin-1")
            except urllib.error.HTTPError:  # refused, or no such page
                continue
            except Exception:  # nothing that speaks HTTP, such as gRPC
                break
            if "version=" in kind or body.startswith("# HELP"):  # Prometheus
                break
            given.append(f"{target}:{port}{page}: {body[:60]}")
    return given
