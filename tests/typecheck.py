"""The run-time checker that the jaxtyping hook of pytest applies to every function of domains.

As for pyright, an int is a float (PEP 484), which beartype refuses by default.
"""

from beartype import BeartypeConf, beartype

__all__ = ["check"]

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
