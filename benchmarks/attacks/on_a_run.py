"""Attacks on a run at work: on its Ray, and on the secrets of its driver."""

from collections.abc import Callable

from benchmarks.attacks.victim import OF_TRACKING, Victim
from tests.small_runs.exposure import holding
from tests.small_runs.intruder import answers, borders, entered, listening

UPLOAD = (
    "search.tracking",
    "/wandb/bin/",
    "git rev-parse",
)  # what uploads to W&B, and what wandb itself asks

Attack = Callable[[Victim], str]  # what got through; "" where nothing did


class NotTriedError(Exception):
    """The machine does not permit the attack."""


def stranger(credentials: dict[str, str]) -> Attack:
    """A second driver on the same machine."""

    def attack(victim: Victim) -> str:
        return "ran a task" if entered(victim.address, credentials) else ""

    return attack


def from_another_network(victim: Victim) -> str:
    """A driver in another network namespace, as on another machine."""
    with borders() as crossing:
        if isinstance(crossing, str):
            raise NotTriedError(crossing)
        return "ran a task" if entered(victim.address, across=crossing) else ""


def open_pages(victim: Victim) -> str:
    """HTTP without a token, to every port."""
    given = answers(listening(victim.address))
    return f"{len(given)} pages, such as {given[0]}" if given else ""


def environments(victim: Victim) -> str:
    """Secrets in /proc of the run's processes, its driver aside, from the first second on."""
    found = {
        name: {title for title in titles if name != OF_TRACKING or not any(part in title for part in UPLOAD)}
        for name, titles in victim.exposed.items()
    }
    shown = [
        f"{name} in {len(titles)} processes, such as {min(titles)[:60]}"
        for name, titles in sorted(found.items())
        if titles
    ]
    return "; ".join(shown)


def files(victim: Victim) -> str:
    """Secrets in the run directory, the cache and Ray's folder."""
    folders = (victim.site.out, victim.site.cache, victim.session)
    found = {
        name: [file for folder in folders for file in holding(folder, secret)]
        for name, secret in victim.secrets.items()
    }
    return ", ".join(f"{name} in {paths[0].name}" for name, paths in found.items() if paths)


def token_on_disk(victim: Victim) -> str:
    """Ray's token in a file or on a command line."""
    if victim.token is None:
        return "there is no token"
    found = holding(victim.session, victim.token) + holding(victim.site.out, victim.token)
    return f"in {found[0].name}" if found else ""


ON_A_RUN: dict[str, Attack] = {
    "a second driver, without credentials": stranger({}),
    "a second driver, authentication turned off": stranger({"RAY_AUTH_MODE": "disabled"}),
    "a second driver, another token": stranger({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}),
    "a driver in another network namespace": from_another_network,
    "pages of every open port": open_pages,
    "secrets in the environments of processes": environments,
    "secrets in files": files,
    "Ray's token in files": token_on_disk,
}
