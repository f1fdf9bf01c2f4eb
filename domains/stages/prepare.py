"""Stage: turn a teacher checkpoint into the canonical form."""

import json
from pathlib import Path
from typing import Annotated

import typer

from domains.errors import FewstepError

__all__ = ["BUNDLED", "prepare"]

# Teachers that come with the package: name → directory beside the package.
BUNDLED = {"proteina-mini": "protein/assets/proteina-mini"}


def prepare(
    source: Annotated[str, typer.Option(help="Checkpoint, model directory or bundled name.")],
    output: Annotated[Path, typer.Option(help="Directory of the model.")],
    domain: Annotated[str, typer.Option(help="Scientific field.")] = "protein",
    architecture: Annotated[
        Path | None, typer.Option(help="model.json or checkpoint that gives the architecture.")
    ] = None,
    lora_alpha: Annotated[float | None, typer.Option(help="α of LoRA weights.")] = None,
    sha256: Annotated[str, typer.Option(help="Expected checksum of the checkpoint.")] = "",
) -> None:
    """Turn a teacher's checkpoint into model.safetensors + model.json; runs no pickled code."""
    from domains import provenance
    from domains.domain import load_domain

    path = Path(__file__).parents[1] / BUNDLED[source] if source in BUNDLED else Path(source)
    if not path.exists():
        raise FewstepError(
            f"there is no checkpoint {source}",
            expected=f"a file, a model directory, or one of {', '.join(BUNDLED)}",
        )
    if sha256 and path.is_file() and provenance.sha256(path) != sha256:
        raise FewstepError(
            f"checksum of {path}",
            expected=sha256,
            got=provenance.sha256(path),
            do="Download it again",
        )
    options = {"lora_alpha": lora_alpha, **_architecture(architecture)}
    load_domain(domain).prepare(path, output, options)


def _architecture(path: Path | None) -> dict:
    """Return network and fold classes from a model.json."""
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FewstepError(f"can't read the architecture {path}", got=error) from error
    if not isinstance(content, dict):
        raise FewstepError(f"{path} is no architecture", expected="a JSON object")
    return {
        "network": content.get("network", content),
        "cath_mapping": content.get("cath_mapping"),
    }
