"""The first experiment of somebody's own: files that work as they are, with a comment on each piece."""

from __future__ import annotations

from pathlib import Path

from prodsprints.kernel.errors import UsageError

_TEMPLATES = Path(__file__).parent / "skeleton_files"


def write(folder: Path, *, row: str) -> list[Path]:
    """Write them into `folder`, which is made. Raises UsageError rather than replace a file."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_TEMPLATES.glob("*.txt"))}
    targets = {folder / name: text.replace("X001.1", row) for name, text in texts.items()}
    for target in targets:
        if target.exists():
            raise UsageError(f"{target} is there already.", next_step="Choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, text in targets.items():
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written to: {error.strerror}.", next_step="Choose another folder."
        ) from None
    return list(targets)
