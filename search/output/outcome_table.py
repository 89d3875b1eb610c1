"""The outcome of a run as a table for the terminal, and what its seeds can tell in a sentence."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.config.schema import RunConfig
from search.output.agent.proposers import not_the_agents
from search.output.fitting_table import FittingTable
from search.output.hidden_table import hidden_tables
from search.output.live_view.phases import trials_text
from search.output.openings import openings_text
from search.output.searched_table import searched_tables
from search.scoring.grader import BaselineScores
from search.scoring.pgr import SIGNIFICANT_P


def outcome_table(outcome: dict[str, Any]) -> RenderableType:
    """The outcome as a table for the terminal: PGR on the test split, finalists against naive."""
    table = _pgr_table(outcome) if has_gap(outcome) else _accuracy_table(outcome)
    floor, cost, trials = outcome["baselines"], outcome["cost"], outcome["trials"]
    summary = (
        f"weak floor {floor['weak_acc']:.4f} ± {floor['weak_se']:.4f}{majority_text(floor)}, "
        f"ceiling {floor['ceiling_acc']:.4f} ± {floor['ceiling_se']:.4f}\n"
        f"{trials_text(outcome['phases'])}: {trials['completed']} completed, {trials['pruned']} pruned, "
        f"{trials['failed']} failed; branches: {outcome['branches']}, rounds: {outcome['rounds']}; "
        f"{cost['wall_s']:.0f} s, {cost['train_s']:.0f} s of training, "
        f"{cost['saved_by_pruning_s']:.0f} s saved by pruning"
    ) + _asked(outcome)
    if openings := openings_text(outcome):
        summary += f"\n{openings}"
    verdict = ("" if has_gap(outcome) else NO_GAP) + _verdict(outcome)
    note = Text(seeds_note(outcome["best"]))
    own = (table, Text(verdict), note, *searched_tables(outcome), Text(summary))
    others = not_the_agents(outcome["agent"])
    first = [Text(others, style="bold yellow")] if others else []
    return Group(*first, *(hidden_tables(outcome) if outcome.get("hidden") else ()), *own)


def majority_text(floor: Mapping[str, Any]) -> str:
    """What a guesser gets; results of earlier versions have it not."""
    return f" (the larger class {floor['majority']:.4f})" if "majority" in floor else ""


def has_gap(outcome: Mapping[str, Any]) -> bool:
    """Whether the test split has a gap, so that there is a PGR on it."""
    return outcome["naive"]["pgr"] is not None


NO_GAP = "there is no gap to recover on the test split, so no PGR: accuracies are compared\n"


PGR_COLUMNS = ("accuracy", "PGR", "± SE", "95% interval", "over naive", "p", "flip p", "search PGR")
FIRST = ("accuracy", "PGR", "95% interval", "over naive", "p")  # where not all fit into a terminal


def _pgr_table(outcome: dict[str, Any]) -> FittingTable:
    naive = outcome["naive"]
    rows = [("naive", (*_cells(naive), "", "", "", search_pgr(naive), *_seed_cells(naive)))]
    for row in outcome["finalists"]:
        over = f"{row['over_naive']['pgr']:+.3f}"
        rows.append((row["branch"], (*_cells(row), over, *_other_cells(row), *_seed_cells(row))))
    columns = (*PGR_COLUMNS, "worst seed", "collapsed")
    title = f"Performance gap recovered on the test split{_over(outcome)}"
    return FittingTable(title=title, columns=columns, first=FIRST, rows=rows)


def _accuracy_table(outcome: dict[str, Any]) -> FittingTable:
    naive = outcome["naive"]
    rows = [("naive", (*_accuracy_cells(naive), "", "", "", search_pgr(naive), str(naive["seeds"])))]
    for row in outcome["finalists"]:
        over = f"{row['over_naive']['accuracy']:+.4f}"
        rows.append((row["branch"], (*_accuracy_cells(row), over, *_other_cells(row), str(row["seeds"]))))
    columns = ("accuracy", "± SE", "over naive", "p", "flip p", "search PGR", "seeds")
    title = f"Accuracy on the test split{_over(outcome)}"
    return FittingTable(title=title, columns=columns, first=FIRST, rows=rows)


def _over(outcome: Mapping[str, Any]) -> str:
    """That the numbers are means, where several tasks were searched."""
    tasks = len(outcome.get("tasks") or ())
    return f"s, the mean over the search's {tasks} tasks" if tasks > 1 else ""


def seeds_note(best: Mapping[str, Any]) -> str:
    """What the seeds of the best method can tell, in a sentence."""
    notes, found, flip = [], best["collapses"], best["sign_flip"]
    if found is not None:
        count, seeds = found["count"], best["seeds"]
        counted = f"collapsed on {count} of {seeds} seeds" if count else f"no collapse in {seeds} seeds"
        bound = f"up to {found['rate_upper95']:.0%} of seeds may collapse (95% bound)"
        notes += [f"{counted} (PGR below {found['below_pgr']:.2f})", bound]
    if flip is not None:
        units = "seeds" if flip["units"] == best["seeds"] else "supervisors"
        least = f"{flip['smallest_p']:.2g}"
        notes.append(f"the exact sign-flip p of {flip['units']} {units} is never below {least}")
    return f"The best: {'; '.join(notes) or 'no note on its seeds'}"


def _verdict(outcome: Mapping[str, Any]) -> str:
    """Whether the best finalist, which is never naive itself, beats the naive baseline."""
    p = outcome["best"]["beats_naive_p"]
    if p < SIGNIFICANT_P:
        return f"the best beats the naive baseline (p = {p:.2g})"
    if another := better_on_test(outcome):
        return (
            f"the best, named on the search split, is not shown to beat the naive baseline (p = {p:.2g})\n"
            f"{another}"
        )
    return f"the best is not shown to beat the naive baseline (p = {p:.2g}): keep to naive, or search on"


def better_on_test(outcome: Mapping[str, Any]) -> str:
    """What to make of another finalist that beats naive where the best is not shown to; else empty."""
    best, *others = outcome["finalists"]
    row = min(others, key=lambda row: row["beats_naive_p"], default=best)
    if best["beats_naive_p"] < SIGNIFICANT_P or row["beats_naive_p"] >= SIGNIFICANT_P:
        return ""
    over, p = row["over_naive"], f"{row['beats_naive_p']:.2g}"
    gain = f"{over['pgr']:+.3f}" if has_gap(outcome) else f"{over['accuracy']:+.4f}"
    return (
        f"{row['branch']} did better on the test split ({gain} over naive, p = {p}), but was not chosen "
        f"beforehand, and its p is not corrected for {1 + len(others)} finalists: confirm it on other "
        "examples before you rely on it, or keep to naive"
    )


def _asked(outcome: dict[str, Any]) -> str:
    """A line about the agent's cost and the playbook's part; empty if no agent was asked."""
    cost, agent = outcome["cost"], outcome["agent"]
    if not agent["lanes"]:
        return ""
    stood_in = sum(row["lane"] == "playbook" for row in agent["lanes"])
    playbook = f"; the playbook stood in for {stood_in} rounds" if stood_in else ""
    spent = " (the budget was spent)" if agent["budget_spent"] else ""
    declined = sum(len(row.get("refusals", ())) for row in agent["lanes"])
    refusals = f"; models declined to answer {declined} times" if declined else ""
    lost = cost["unanswered_usd"]
    unanswered = f" ({lost:.4f} of them reserved for answers that never came)" if lost else ""
    return (
        f"\nagent: {cost['usd']:.4f} dollars{unanswered}, {cost['input_tokens']} tokens in, "
        f"{cost['output_tokens']} out; "
        f"families' entropy {agent['entropy_bits']:.2f} bits{playbook}{refusals}{spent}"
    )


def _other_cells(row: dict[str, Any]) -> tuple[str, str, str]:
    flip = f"{row['sign_flip']['p']:.2g}" if row["sign_flip"] else "–"
    return f"{row['beats_naive_p']:.2g}", flip, search_pgr(row)


def search_pgr(row: Mapping[str, Any]) -> str:
    """The PGR on the search split; empty where none is known, as for naive in results of earlier versions."""
    found = row.get("search_pgr")
    return "" if found is None else f"{found:.3f}"


def _accuracy_cells(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['accuracy']:.4f}", f"{row['accuracy_se']:.4f}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = row["ci95"]
    accuracy = f"{row['accuracy']:.3f}"
    return accuracy, f"{row['pgr']:.3f}", f"{row['se']:.3f}", f"{low:.3f} to {high:.3f}"


def _seed_cells(row: dict[str, Any]) -> tuple[str, str]:
    return f"{row['worst_seed']['pgr']:.3f}", f"{row['collapses']['count']} of {row['seeds']}"


def baseline_table(config: RunConfig, scores: BaselineScores) -> Table:
    """Weak floor and ceiling as a table for the terminal."""
    table = Table(title=f"Search split, {config.baselines.seeds} seeds", title_justify="left")
    for column in ("baseline", "accuracy", "± SE"):
        table.add_column(column, justify="left" if column == "baseline" else "right")
    for name, score in (("weak floor", scores.weak), ("ceiling", scores.ceiling)):
        table.add_row(name, f"{score.value:.4f}", f"{score.se:.4f}")
    table.add_row("gap", f"{scores.gap:.4f}", f"{scores.gap_se:.4f}")
    return table
