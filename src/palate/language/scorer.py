"""The scorer: y = M(F(user text), G(item text)), a calibrated probability or a value, for all who ask for one.

Two towers on one trunk (``palate.language.tuning``), frozen, with adapters, low-rank products or taught in full. The
cross form reads both texts as one: slower and sharper, a teacher for the towers (``distil``; Hinton et al., 2015).
Probabilities are calibrated by Platt's method (1999) on pairs that nothing was learnt from, values by a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field

from palate.core import DataError, Float64Array, FloatArray, NotFittedError, Settings, UsageError
from palate.core.artefact import Artefact, read, write
from palate.language.tuning.settings import TrunkSettings, TuningSettings
from palate.training import Report

if TYPE_CHECKING:
    from palate.core.recommender import Arrays
    from palate.language.tuning.corpus import Corpus
    from palate.language.tuning.judging import Match, Pairs
    from palate.language.tuning.trunk import Trunk

KIND = "scorer"
_BEGIN = 1_000
"""Pairs by which the head learns where the trunk's states lie."""

_FEW = 40
"""Pairs under which none are held out: then nothing is calibrated and the last epoch is kept."""


class ScorerSettings(Settings):
    """What is predicted, and how it is learnt.

    Parameters
    ----------
    kind
        ``classification``: targets 0 to 1, answers are probabilities; ``regression``: any numbers.
    form
        ``towers`` or ``cross``.
    model
        ``minilm``, or the folder or hub name of a model or tuned encoder's trunk.
    width
        Of F, G and the hidden layer of M.
    dropout
        Share of states dropped in training, within the head.
    validation
        Share of pairs held out: they decide when to end, and they calibrate.
    """

    kind: Literal["classification", "regression"] = "classification"
    form: Literal["towers", "cross"] = "towers"
    model: str = "minilm"
    trunk: TrunkSettings = Field(default_factory=lambda: TrunkSettings(method="frozen", max_tokens=64))
    course: TuningSettings = Field(
        default_factory=lambda: TuningSettings(epochs=20, learning_rate=2e-3, batch=256, patience=4, weight_decay=0.05)
    )
    width: int = Field(default=128, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    validation: float = Field(default=0.15, ge=0, lt=1)


class TextScorer:
    """Judges pairs of texts, with or without numbers beside them.

    Parameters
    ----------
    settings
        The defaults where None.

    Examples
    --------
    >>> scorer = TextScorer(ScorerSettings(kind="classification"))
    >>> scorer.fit(user_texts, item_texts, clicked).predict(["likes tea"], ["a blue teapot"])  # doctest: +SKIP
    """

    def __init__(self, settings: ScorerSettings | None = None) -> None:
        self.settings = settings or ScorerSettings()
        self._trunk: Trunk | None = None
        self._match: Match | None = None
        self._norms: Arrays = {}
        self.calibration: tuple[float, float] = (1.0, 0.0)
        """Slope and intercept of the line from what the head says to the logit, or value, that is meant."""
        self.spread: float = float("nan")
        """Root mean squared error on pairs held out, in the targets' own units; NaN where none were."""

    def fit(
        self,
        left: Sequence[str],
        right: Sequence[str],
        targets: Any,
        *,
        numbers: Any = None,
        weights: Any = None,
        progress: Report | None = None,
    ) -> Self:
        """Learn from n pairs and return self. Fitting again forgets what was learnt before.

        Parameters
        ----------
        left, right
            n texts each: who, and what.
        targets
            (n,), 0 to 1 in classification (soft ones too), any numbers in regression.
        numbers
            (n, f), what is known of a pair beside its texts, such as a price; none where None.
        weights
            (n,), how much each pair counts; alike where None.

        Raises
        ------
        DataError
            Lengths differ, a target is no number or out of range, or there is nothing to learn from.
        """
        from palate.language.tuning.judging import Judging, Match
        from palate.language.tuning.objective import teach
        from palate.language.tuning.trunk import open_trunk

        settings = self.settings
        wanted = self._checked(left, right, targets)
        facts = _matrix(numbers, len(wanted))
        counts = np.ones(len(wanted), np.float32) if weights is None else np.asarray(weights, np.float32).ravel()
        if len(counts) != len(wanted):
            raise DataError(f"{len(counts)} weights for {len(wanted)} pairs")
        order = np.random.default_rng([settings.course.seed, 3]).permutation(len(wanted))
        held = round(len(wanted) * settings.validation)
        held = 0 if held < _FEW // 4 or len(wanted) < _FEW else held
        known, asked = np.sort(order[held:]), np.sort(order[:held])
        self._norms = _norms_of(wanted[known], facts[known], settings.kind)
        self._trunk = open_trunk(settings.model, settings.trunk)
        with _seeded(settings.course.seed):
            self._match = Match(self._trunk.size, facts.shape[1], settings.form, settings.width, settings.dropout)
        corpus, pairs = self._pairs(left, right, wanted, facts, counts)
        self._match.begin(corpus, pairs.take(known[:_BEGIN]))
        objective = Judging(corpus, self._match, settings.kind, pairs.take(known), pairs.take(asked) if held else None)
        teach(self._trunk, objective, settings.course, progress=progress)
        self.calibration, self.spread = (1.0, 0.0), float("nan")
        if held:
            self._calibrate(self._raw(corpus, pairs.take(asked)), wanted[asked], counts[asked])
        return self

    def predict(self, left: Sequence[str], right: Sequence[str], *, numbers: Any = None) -> FloatArray:
        """Probabilities, or values in the targets' own units, of n pairs; float32 (n,)."""
        if len(left) != len(right):
            raise DataError(f"{len(left)} left texts for {len(right)} right ones")
        if not len(left):
            return np.empty(0, np.float32)
        facts = _matrix(numbers, len(left))
        self._fitted()
        if facts.shape[1] != len(self._norms["number_mean"]):
            raise DataError(f"{facts.shape[1]} numbers a pair; it was fitted with {len(self._norms['number_mean'])}")
        nothing = np.zeros(len(left), np.float32)
        slope, intercept = self.calibration
        said = slope * self._raw(*self._pairs(left, right, nothing, facts, nothing)) + intercept
        if self.settings.kind == "classification":
            return np.asarray(1 / (1 + np.exp(-np.clip(said, -30, 30))), np.float32)
        return np.asarray(said * self._norms["target_scale"][0] + self._norms["target_mean"][0], np.float32)

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all: what was learnt, beside the name of the model it belongs to."""
        from palate.language.tuning.saving import learnt_arrays, model_fingerprint

        trunk, match = self._fitted()
        arrays = {
            "learnt": learnt_arrays(trunk),
            "match": {name: value.detach().numpy() for name, value in match.state_dict().items()},
            "norms": self._norms,
        }
        manifest = {
            "settings": self.settings.model_dump(mode="json"),
            "base": model_fingerprint(trunk.folder),
            "calibration": list(self.calibration),
            "spread": None if np.isnan(self.spread) else self.spread,
        }
        write(Artefact(KIND, manifest, {name: group for name, group in arrays.items() if group}), folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """One that was saved.

        Raises
        ------
        ArtefactError
            The folder is damaged, or of another format.
        DataError
            The model it belongs to cannot be had, or is another one now.
        """
        import torch

        from palate.language.tuning.judging import Match
        from palate.language.tuning.saving import open_learnt

        found = read(folder, KIND)
        scorer = cls(ScorerSettings.model_validate(found.manifest["settings"]))
        settings = scorer.settings
        scorer._trunk = open_learnt(
            settings.model, settings.trunk, found.arrays.get("learnt", {}), found.manifest["base"], Path(folder)
        )
        scorer._norms = found.arrays["norms"]
        facts = len(scorer._norms["number_mean"])
        scorer._match = Match(scorer._trunk.size, facts, settings.form, settings.width, settings.dropout).eval()
        state = {name: torch.from_numpy(np.array(value)) for name, value in found.arrays["match"].items()}
        scorer._match.load_state_dict(state)
        slope, intercept = found.manifest["calibration"]
        scorer.calibration = (float(slope), float(intercept))
        scorer.spread = float("nan") if found.manifest["spread"] is None else float(found.manifest["spread"])
        return scorer

    def _fitted(self) -> tuple[Trunk, Match]:
        if self._trunk is None or self._match is None:
            raise NotFittedError("the scorer was asked before it was fitted")
        return self._trunk.eval(), self._match.eval()

    def _checked(self, left: Sequence[str], right: Sequence[str], targets: Any) -> FloatArray:
        wanted = np.asarray(targets, dtype=np.float32).ravel()
        if not len(left) == len(right) == len(wanted):
            raise DataError(
                f"{len(left)} left texts, {len(right)} right ones and {len(wanted)} targets; one each a pair"
            )
        if len(wanted) < 2:
            raise DataError("a scorer needs two pairs to learn from, and many more to be of use")
        if not np.isfinite(wanted).all():
            raise DataError(f"{int((~np.isfinite(wanted)).sum())} targets are no numbers. Leave those pairs out.")
        if self.settings.kind == "classification" and (wanted.min() < 0 or wanted.max() > 1):
            raise DataError(
                f"targets of a classification lie between 0 and 1; these go from {wanted.min():g} to {wanted.max():g}. "
                'Use kind = "regression" for values.'
            )
        return wanted

    def _pairs(
        self, left: Sequence[str], right: Sequence[str], targets: FloatArray, numbers: FloatArray, weights: FloatArray
    ) -> tuple[Corpus, Pairs]:
        from palate.language.tuning.contrast import distinct
        from palate.language.tuning.corpus import Corpus
        from palate.language.tuning.judging import Pairs

        trunk, _ = self._fitted()
        texts, a, b = distinct(left, right)
        norms = self._norms
        scaled = (numbers - norms["number_mean"]) / norms["number_scale"]
        wanted = (targets - norms["target_mean"]) / norms["target_scale"]
        facts = np.nan_to_num(scaled, nan=0.0).astype(np.float32)
        return Corpus(trunk, texts), Pairs(a, b, facts, wanted.astype(np.float32), weights)

    def _raw(self, corpus: Corpus, pairs: Pairs) -> FloatArray:
        from palate.language.tuning.judging import told

        _, match = self._fitted()
        return np.asarray(told(corpus, match, pairs).numpy(), np.float32)

    def _calibrate(self, said: FloatArray, wanted: FloatArray, weights: FloatArray) -> None:
        """The line from what was said to what is meant, and how far off it still is."""
        if self.settings.kind == "classification":
            self.calibration = platt(said, wanted, weights)
            slope, intercept = self.calibration
            off = 1 / (1 + np.exp(-(slope * said + intercept))) - wanted
        else:
            scale, mean = self._norms["target_scale"][0], self._norms["target_mean"][0]
            self.calibration = _line(said, (wanted - mean) / scale, weights)
            slope, intercept = self.calibration
            off = (slope * said + intercept) * scale + mean - wanted
        self.spread = float(np.sqrt(np.average(off**2, weights=weights + 1e-12)))


def distil(
    teacher: TextScorer,
    student: TextScorer,
    left: Sequence[str],
    right: Sequence[str],
    targets: Any = None,
    *,
    share: float = 0.7,
    numbers: Any = None,
    progress: Report | None = None,
) -> TextScorer:
    """Fit a student on what a teacher says of pairs, mixed with what is known of them; the student is returned.

    Parameters
    ----------
    targets
        (n,), what is known; None where the pairs have no targets: then the teacher alone is believed.
    share
        How much the teacher's word counts beside them, 0 to 1.
    """
    if teacher.settings.kind != student.settings.kind:
        raise UsageError(f"a {teacher.settings.kind} cannot teach a {student.settings.kind}")
    soft = teacher.predict(left, right, numbers=numbers)
    if targets is not None:
        soft = share * soft + (1 - share) * np.asarray(targets, np.float32).ravel()
    return student.fit(left, right, soft, numbers=numbers, progress=progress)


def platt(said: FloatArray, wanted: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Slope and intercept of the logistic line through targets of 0 to 1; a small prior keeps it near (1, 0).

    The slope never turns what was said around.
    """
    from scipy.optimize import minimize

    x, y, w = (np.asarray(values, np.float64) for values in (said, wanted, weights))
    # Around their mean and in their own unit, so that the two numbers hardly depend on each other.
    mean, unit = float(x.mean()), max(float(x.std()), 1e-6)
    z = (x - mean) / unit
    prior = np.array([unit, mean])

    def loss(line: Float64Array) -> tuple[float, Float64Array]:
        meant = line[0] * z + line[1]
        off = line - prior
        value = float((w * (np.logaddexp(0.0, meant) - y * meant)).sum() + 0.5 * (off * off).sum())
        slope = w * (1 / (1 + np.exp(-np.clip(meant, -30, 30))) - y)
        return value, np.array([(slope * z).sum(), slope.sum()]) + off

    line = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)]).x
    return float(line[0] / unit), float(line[1] - line[0] * mean / unit)


def _line(said: FloatArray, wanted: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Slope and intercept by least squares, the slope drawn to 1 by as much as five pairs."""
    mean, goal = np.average(said, weights=weights), np.average(wanted, weights=weights)
    spread = float((weights * (said - mean) ** 2).sum()) + 5.0
    slope = max((float((weights * (said - mean) * (wanted - goal)).sum()) + 5.0) / spread, 0.0)
    return slope, float(goal - slope * mean)


def _matrix(numbers: Any, n: int) -> FloatArray:
    """(n, f) as float32; f is 0 where nothing was given."""
    if numbers is None:
        return np.empty((n, 0), np.float32)
    matrix = np.asarray(numbers, np.float32)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if len(matrix) != n:
        raise DataError(f"{len(matrix)} rows of numbers for {n} pairs")
    return matrix


def _norms_of(targets: FloatArray, numbers: FloatArray, kind: str) -> Arrays:
    """Means and scales; unknown numbers (NaN) stand at the mean."""
    known = np.isfinite(numbers)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, numbers, 0).sum(axis=0) / counts
    spread = np.sqrt(np.where(known, (numbers - mean) ** 2, 0).sum(axis=0) / counts)
    values = kind == "regression"
    return {
        "number_mean": mean.astype(np.float32),
        "number_scale": np.where(spread > 1e-6, spread, 1.0).astype(np.float32),
        "target_mean": np.array([targets.mean() if values else 0.0], np.float32),
        "target_scale": np.array([max(float(targets.std()), 1e-6) if values else 1.0], np.float32),
    }


def _seeded(seed: int) -> Any:
    """A place where torch draws from a seed, and is as before afterwards."""
    from contextlib import ExitStack

    import torch

    stack = ExitStack()
    stack.enter_context(torch.random.fork_rng(devices=[]))
    torch.manual_seed(seed)
    return stack
