"""Stage: turn a teacher checkpoint into the canonical form."""

from pathlib import Path

from domains.config import located
from domains.errors import FewstepError

__all__ = ["prepare"]


def prepare(
    source: str,
    output: Path,
    domain: str = "protein",
    architecture: Path | None = None,
    lora_alpha: float | None = None,
    fold_classes: Path | None = None,
    sha256: str = "",
    half: bool = False,
) -> None:
    """Turn a teacher's checkpoint into model.safetensors + model.json; runs no pickled code.

    Args:
        source: Checkpoint file, model directory or bundled name (such as proteina-small).
        output: A new directory, of the model.
        domain: Scientific field.
        architecture: A model.json, or the directory of it, for files that hold weights only.
        lora_alpha: α of LoRA weights whose file does not say it.
        fold_classes: Proteina's cath_label_mapping.pt: which row of a checkpoint is which class.
        sha256: Expected checksum of the checkpoint, which is a file then.
        half: Store the weights in float16 (half the size; computing stays in float32).
    """
    from domains.field import load_field
    from domains.files import provenance
    from domains.files.architecture import read_architecture
    from domains.files.model_files import refuse_model

    path, sha256 = located(source), sha256.strip().lower()
    refuse_model(output)
    if sha256 and path.is_dir():
        raise FewstepError("sha256 is of a file", got=f"the directory {path}", do="Leave it out")
    if sha256 and path.is_file() and provenance.sha256(path) != sha256:
        raise FewstepError(
            f"checksum of {path}",
            expected=sha256,
            got=provenance.sha256(path),
            do="Download it again",
        )
    options = {"lora_alpha": lora_alpha, "half": half, "fold_classes": fold_classes}
    options |= read_architecture(architecture)
    load_field(domain).prepare(path, output, options)
