"""What can't be trained in a field, and why: asked by runs and matrices alike."""

from __future__ import annotations

from domains.config.training import Distil

__all__ = ["obstacle"]


def obstacle(domain: str, student: Distil) -> str:
    """Return the sentence that says why a field can't train a student; empty if it can.

    Args:
        domain: Name of the field.
        student: The student's settings.
    """
    if domain == "lidar" and student.fold:
        return "Fold classes (fold) are of the protein domain only."
    if domain == "lidar" and student.teacher_noise_scale != 1:
        return "Only teachers of flow matching, so of proteins, are tempered (teacher_noise_scale)."
    return ""
