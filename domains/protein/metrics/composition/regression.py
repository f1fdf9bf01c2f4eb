"""What natives of a chain's helix, strand and length have on average, and how far off it is.

Many measures of a chain depend on its secondary structure before they say anything of its
quality. What is left after a regression on natives is comparable between chains of any mix.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from domains.errors import FewstepError

__all__ = ["FIT", "NativeFit", "Regression", "load_fit"]

FIT = Path(__file__).parents[2] / "assets" / "native_fit.json"


@dataclass(frozen=True)
class Regression:
    """A measure of natives as a function of composition, fitted by least squares.

    Args:
        coefficients: Of 1, helix, strand, helix², strand², helix × strand and ln(residues).
        spread: Standard deviation of natives' residuals, in the unit of the measure.
    """

    coefficients: tuple[float, ...]
    spread: float

    @classmethod
    def fit(
        cls, values: Float[np.ndarray, " n"], composition: Float[np.ndarray, "n 3"]
    ) -> "Regression":
        """Fit to natives; values that are NaN are left out.

        Args:
            values: The measure of each native.
            composition: Share of helix, share of strand, residues.

        Raises:
            FewstepError: Fewer values than ten per coefficient.
        """
        known = np.isfinite(values)
        terms = _terms(composition[known])
        if len(terms) < 10 * terms.shape[1]:
            raise FewstepError(
                "a regression on composition has too few natives",
                expected=f"{10 * terms.shape[1]} or more",
                got=len(terms),
            )
        found = np.linalg.lstsq(terms, values[known], rcond=None)[0]
        left = values[known] - terms @ found
        spread = np.sqrt((left**2).sum() / (len(left) - len(found)))
        return cls(tuple(map(float, found)), float(spread))

    def excess(
        self, values: Float[np.ndarray, " n"], composition: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, " n"]:
        """Return value minus that of natives of this composition; NaN where either is unknown."""
        return values - _terms(composition) @ np.array(self.coefficients)


@dataclass(frozen=True)
class NativeFit:
    """What ``studies/derive_judges.py`` fitted to the bundled natives.

    Args:
        lengths: Fewest and most residues of the natives.
        regressions: By the measure's name.
        wrong: The cross NLL (nat) of compact wrong folds.
        weights: Of each standardised residual in the log-odds of a native against a decoy.
        intercept: Of the log-odds.
    """

    lengths: tuple[int, int]
    regressions: dict[str, Regression]
    wrong: Regression
    weights: dict[str, float]
    intercept: float

    def excess(
        self, name: str, values: Float[np.ndarray, " n"], composition: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, " n"]:
        """Return a measure's excess over natives; NaN where no native has such a length."""
        length = composition[:, 2]
        known = (length >= self.lengths[0]) & (length <= self.lengths[1])
        return np.where(known, self.regressions[name].excess(values, composition), np.nan)


@lru_cache(maxsize=1)
def load_fit(path: Path = FIT) -> NativeFit:
    """Read the constants that come with the program."""
    read = json.loads(path.read_text(encoding="utf-8"))
    regressions = {name: _read(one) for name, one in read["regressions"].items()}
    low, high = read["lengths"]
    wrong = _read(read["wrong"])
    return NativeFit((low, high), regressions, wrong, read["weights"], read["intercept"])


def _read(one: dict) -> Regression:
    return Regression(tuple(one["coefficients"]), one["spread"])


def _terms(composition: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 7"]:
    helix, strand, length = composition.T
    one = np.ones_like(helix)
    squares = (helix**2, strand**2, helix * strand)
    return np.stack([one, helix, strand, *squares, np.log(length)], axis=1)
