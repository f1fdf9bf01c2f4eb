"""What can't be trained in a field, and why: asked by runs and matrices alike."""

from __future__ import annotations

from domains.config.base import DomainName
from domains.config.training import Distil

__all__ = ["obstacle"]


def obstacle(domain: DomainName, student: Distil) -> str:
    """Return what keeps a field from training a student; nothing if it can.

    Args:
        domain: Name of the field.
        student: The student's settings.
    """
    if domain != "lidar":
        return ""
    if student.fold:
        return "fold: fold classes are of the protein domain only"
    if student.needs_tools:
        return "objective.preference: cross_nll is of proteins"
    if student.teacher_noise_scale != 1:
        return "teacher_noise_scale: only teachers of flow matching, so of proteins, are tempered"
    if student.fake_guidance != 1 == student.fake_training_guidance:
        return (
            "fake_guidance: every sample is told its scan, so a fake score learns to do without"
            " only where fake_training_guidance is not 1"
        )
    if student.roll_out.self_conditioning:
        return "roll_out.self_conditioning: of proteins only"
    return ""
