"""Stage: store a model in few bits."""

from pathlib import Path

from domains.config import located
from domains.errors import FewstepError

__all__ = ["compact"]


def compact(source: str, output: Path, base: Path | None = None, bits: int | None = None) -> None:
    """Store a model in 8 bits a weight, or in 4 or 2 beside the model that it started from.

    Args:
        source: The model, by its directory or bundled name.
        output: A new directory, of the compact model, which is read like any other.
        base: Directory beside ``output`` of the model, compact or not, that ``source`` started
            from, such as a student's teacher; it must stay there.
        bits: With a base: 4, as if left out, or 2 for a model that differs little from it.
    """
    from domains.files.model_files import refuse_model, write_compact

    if bits is not None and base is None:
        raise FewstepError(
            "bits are of use with a base only", got=bits, do="Give --base, or leave out --bits"
        )
    refuse_model(output)
    write_compact(output, located(source), base, bits or 4)
