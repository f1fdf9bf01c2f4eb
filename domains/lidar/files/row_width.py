"""The row width of a headerless scan, inferred from the numbers themselves.

Of x, y, z, intensity, ring and so on each column holds numbers of its own kind. So the kind of a
number depends on its place modulo the width of a row, and modulo no other number as much. The
evidence for a width is how much likelier the kinds are with one distribution for each column
than with one for all: the logarithm of the Bayes factor, with Dirichlet priors of ½.
"""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from scipy.ndimage import maximum_filter1d, minimum_filter1d
from scipy.special import gammaln

__all__ = ["WIDTHS", "told_width"]

WIDTHS = range(3, 9)  # from x y z to what radars and fused clouds hold
LEAST_EVIDENCE = 10.0  # a Bayes factor of 22,000
# A multiple of the width explains as much as the width. Between the two shares it isn't clear.
AS_MUCH, CLEARLY_LESS = 0.95, 0.6
MOST_NUMBERS, CHUNKS = 1 << 16, 16
MAGNITUDES = (1e-3, 1.0, 4.0, 16.0, 256.0)
# Zeros or NaN in a row are places that nothing came back from, and may come in turns of their own.
BLANK_RUN = 3


def told_width(values: Float32[np.ndarray, " k"]) -> int | None:
    """Infer the numbers per row, whether or not all rows are whole.

    Args:
        values: All numbers of a file, row by row.

    Returns:
        The width, 0 where more than one explains the numbers, None where none does.
    """
    places = _places(len(values))
    blank = _is_blank(values[places])
    told = _told(values, places[~blank])
    # With blanks, whose own order is no column's, the rest may look like other rows.
    return told if _told(values, places) in (None, told) else 0


def _told(values: Float32[np.ndarray, " k"], places: Int[np.ndarray, " p"]) -> int | None:
    """Infer the row width from the numbers at these places (see ``told_width``)."""
    if not len(places):
        return None
    kinds = _kinds(values[places])
    evidence = {width: _evidence(kinds, places, width) for width in WIDTHS}
    best = max(evidence.values())
    if best < LEAST_EVIDENCE:
        return None
    able = [width for width, found in evidence.items() if found >= CLEARLY_LESS * best]
    clear = evidence[able[0]] >= AS_MUCH * best and not any(w % able[0] for w in able)
    return able[0] if clear and not _is_twice(values[places], places, able[0]) else 0


def _places(count: int) -> Int[np.ndarray, " p"]:
    """Return the indices of the numbers to inspect: all, or stretches from all over."""
    if count <= MOST_NUMBERS:
        return np.arange(count)
    length = MOST_NUMBERS // CHUNKS
    starts = np.linspace(0, count - length, CHUNKS).astype(np.int64)
    return (starts[:, None] + np.arange(length)).reshape(-1)


def _is_blank(values: Float32[np.ndarray, " p"]) -> Bool[np.ndarray, " p"]:
    """Tell zeros and NaN that are next to each other, as where nothing came back."""
    blank = ~np.isfinite(values) | (values == 0)
    return maximum_filter1d(minimum_filter1d(blank, BLANK_RUN), BLANK_RUN) if len(blank) else blank


def _is_twice(values: Float32[np.ndarray, " p"], places: Int[np.ndarray, " p"], width: int) -> bool:
    """Tell whether the rows may be pairs of rows: of two halves that are negative as often.

    Points that take turns in being near and far look like rows of twice as many numbers.
    """
    half = width // 2
    if width % 2 or half not in WIDTHS:
        return False
    real = np.isfinite(values) & (values != 0)
    columns = [values[real & (places % width == column)] for column in range(width)]
    shares = [float((column < 0).mean()) if len(column) else 0.0 for column in columns]
    least = min(map(len, columns))
    apart = max(abs(shares[c] - shares[c + half]) for c in range(half))
    return apart < 0.25 + 1 / max(least, 4) ** 0.5


def _kinds(values: Float32[np.ndarray, " p"]) -> Int[np.ndarray, " p"]:
    """Return the kind of each number: sign and magnitude, whole, zero, not finite, the commonest.

    A column that is always the same, such as an intensity that was not measured, is told from
    the commonest number.
    """
    sizes = np.digitize(np.abs(values), MAGNITUDES)
    signs, steps = np.sign(values), len(MAGNITUDES) + 1
    whole, finite = values == np.round(values), np.isfinite(values)
    kinds = np.where(whole, 2 * steps + 1 + np.nan_to_num(signs), sizes + steps * (values < 0))
    kinds = np.where(finite, kinds, 2 * steps + 3)
    numbers, counts = np.unique(values.view("u4"), return_counts=True)
    commonest = numbers[counts.argmax()] if counts.max(initial=0) > 1 else None
    return np.where(values.view("u4") == commonest, 2 * steps + 4, kinds).astype(np.int64)


def _evidence(kinds: Int[np.ndarray, " p"], places: Int[np.ndarray, " p"], width: int) -> float:
    """Return the logarithm of the Bayes factor of rows of ``width`` against no rows."""
    found, kinds = np.unique(kinds, return_inverse=True)
    table = np.bincount(places % width * len(found) + kinds, minlength=width * len(found))
    columns = table.reshape(width, len(found)).astype(np.float64)
    return _log_likelihood(columns) - _log_likelihood(columns.sum(0, keepdims=True))


def _log_likelihood(counts: Float[np.ndarray, "c s"]) -> float:
    """Return that of the kinds in each column, its distribution integrated out."""
    kinds, prior = counts.shape[1], 0.5
    columns = gammaln(kinds * prior) - gammaln(counts.sum(1) + kinds * prior)
    return float(columns.sum() + (gammaln(counts + prior) - gammaln(prior)).sum())
