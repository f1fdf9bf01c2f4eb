"""Contract: a chain that has no shape is no warning, and what it has none of is NaN."""

import numpy as np
import pytest

from domains.protein.metrics.similarity.descriptors import describe


@pytest.mark.filterwarnings("error")
def test_residues_in_one_place_are_no_warning() -> None:
    found = describe(np.zeros((20, 3)))
    assert np.isnan(found[3]) and np.isfinite(np.delete(found, 3)).all()
