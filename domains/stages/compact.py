"""Stage: store a model in few bits."""

from pathlib import Path

__all__ = ["compact"]


def compact(source: Path, output: Path, base: Path | None = None, bits: int = 4) -> None:
    """Store a model in 8 bits a weight, or in 4 or 2 beside the model that it started from.

    Args:
        source: Directory of the model.
        output: Directory of the compact model, which is read like any other.
        base: Directory beside ``output`` of the model, compact or not, that ``source`` started
            from, such as a student's teacher; it must stay there.
        bits: With a base: 4, or 2 for a model that differs little from it.
    """
    from domains.files.model_files import write_compact

    write_compact(output, source, base, bits)
