"""``palate off-policy``: what a mix or another policy would have earned, from the log of what was served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palate.cli import console, options

if TYPE_CHECKING:
    from palate.experiments.logs import Logged
    from palate.experiments.off_policy import Estimate
    from palate.measure import Interval

_OFF_POLICY = """[bold]Examples[/bold]

palate off-policy events.sqlite    (every mix alone, all alike, and the best one for each context)

palate off-policy events.sqlite --policy novel --policy even

palate off-policy events.sqlite --reward purchase=1,cart=0.5 --method self-normalised

palate off-policy open_bandit_dataset --open-bandit bts/men --policy even"""

_WORDS = {
    "en": {
        "title": "{lists:,} lists of {people:,} people earned {mean:.4f} [{low:.4f}, {high:.4f}] a list; by {method}",
        "head": ("policy", "would have earned", "95 %", "difference", "95 %", "effective"),
        "refused": "{policy}: no answer. {reason}",
    },
    "zh": {
        "title": "{people:,} 人的 {lists:,} 个列表平均回报 {mean:.4f} [{low:.4f}, {high:.4f}]；方法：{method}",
        "head": ("策略", "预计回报", "95 %", "差值", "95 %", "有效数"),
        "refused": "{policy}：无法回答。{reason}",
    },
}


def register(app: typer.Typer) -> None:
    app.command("off-policy", epilog=_OFF_POLICY)(off_policy)


def off_policy(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="LOG", help="The event log's SQLite file, the usual one if left out; a folder with --open-bandit."
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", "-p", metavar="NAME", help="A mix, even or contextual; may be given several times."),
    ] = None,
    method: Annotated[
        str,
        typer.Option("--method", help="doubly-robust, inverse-propensity, self-normalised, direct or switch."),
    ] = "doubly-robust",
    reward: Annotated[
        str | None,
        typer.Option("--reward", metavar="KIND=WORTH,...", help="Worth of reactions; the bandit's where not given."),
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option(
            "--vault", metavar="FILE", help="The key vault the log was written with; beside it, or the usual one."
        ),
    ] = None,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose rows of the log.")] = "default",
    open_bandit: Annotated[
        str | None,
        typer.Option(
            "--open-bandit", metavar="POLICY/CAMPAIGN", help="The Open Bandit Dataset instead, e.g. random/men."
        ),
    ] = None,
    as_json: options.Json = False,
    language: options.Language = None,
) -> None:
    """Say what a policy would have earned on this log, with an interval, or why the log cannot tell.

    Exit code 1 where the log answers for none of the policies.
    """
    from palate.experiments.off_policy import POLICIES, estimate, named
    from palate.experiments.support import in_words
    from palate.measure import influence_interval

    spoken = options.language(language)
    logged = _served(file, vault, tenant, reward) if open_bandit is None else _published(file, open_bandit)
    names = policy or ([*logged.names, *POLICIES] if open_bandit is None else list(POLICIES))
    found = {name: estimate(*named(logged, name), method) for name in names}  # type: ignore[arg-type]
    earned = influence_interval(logged.rewards, logged.people)
    reasons = {name: in_words(one.refusals, spoken) for name, one in found.items()}
    if as_json:
        console.write_json(_as_json(logged, earned, method, found, reasons))
    else:
        _show(logged, earned, method, found, reasons, spoken)
    if all(one.value is None for one in found.values()):
        raise typer.Exit(1)


def _served(given: Path | None, vault: Path | None, tenant: str, reward: str | None) -> Logged:
    from palate.cli.logs import log_at, vault_beside
    from palate.core.errors import DataError
    from palate.data.event_log import EventLog
    from palate.experiments.logs import Logged
    from palate.privacy import Vault
    from palate.privacy.vault import default_vault_path

    file = log_at(given, "events.sqlite")
    keys = vault or vault_beside(file) or default_vault_path()
    if not keys.is_file():
        raise DataError(f"{keys} is not there: it should be the key vault; say --vault where another one is.")
    with EventLog(file, Vault(keys), tenant=tenant) as log:
        return Logged.read(log) if reward is None else Logged.read(log, _worths(reward))


def _published(folder: Path | None, given: str) -> Logged:
    from palate.core.errors import UsageError
    from palate.data.open_bandit import open_bandit
    from palate.experiments.logs import Logged

    if folder is None:
        raise UsageError("--open-bandit: name the folder of the dataset, too.")
    policy, slash, campaign = given.partition("/")
    if not slash:
        raise UsageError(f"--open-bandit {given}: write POLICY/CAMPAIGN, for instance random/men.")
    return Logged.of_open_bandit(open_bandit(folder, policy, campaign))


def _worths(text: str) -> dict[str, float]:
    from palate.core.errors import UsageError

    found = {}
    for part in text.split(","):
        kind, _, worth = (piece.strip() for piece in part.partition("="))
        try:
            found[kind] = float(worth)
        except ValueError:
            found[kind] = float("nan")
        if not kind or not 0 <= found[kind] <= 1e9:
            raise UsageError(f"--reward {part.strip()!r}: write KIND=WORTH with a number from 0, e.g. purchase=1.")
    return found


def _show(
    logged: Logged,
    earned: Interval,
    method: str,
    found: dict[str, Estimate],
    reasons: dict[str, list[str]],
    spoken: options.Spoken,
) -> None:
    words: Any = _WORDS[spoken]
    people = len(set(logged.person.tolist()))
    said = {"lists": len(logged), "people": people, "mean": earned.estimate, "low": earned.low, "high": earned.high}
    rows = [
        (
            name,
            f"{one.value.estimate:.4f}",
            f"[{one.value.low:.4f}, {one.value.high:.4f}]",
            f"{one.lift.estimate:+.4f}",
            f"[{one.lift.low:+.4f}, {one.lift.high:+.4f}]",
            f"{one.support.effective:,.0f}",
        )
        for name, one in found.items()
        if one.value is not None and one.lift is not None
    ]
    title = words["title"].format(method=method, **said)
    if rows:
        console.table(title, words["head"], rows)
    else:
        console.say(title)
    for name, sentences in reasons.items():
        for sentence in sentences:
            console.say(words["refused"].format(policy=name, reason=sentence))


def _as_json(
    logged: Logged, earned: Interval, method: str, found: dict[str, Estimate], reasons: dict[str, list[str]]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "lists": len(logged),
        "method": method,
        "logged": asdict(earned),
        "policies": [
            {
                "policy": name,
                "value": None if one.value is None else asdict(one.value),
                "lift": None if one.lift is None else asdict(one.lift),
                "effective": one.support.effective,
                "uncovered": one.support.uncovered,
                "reasons": reasons[name],
            }
            for name, one in found.items()
        ],
    }
