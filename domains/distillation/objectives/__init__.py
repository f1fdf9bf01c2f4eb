"""One objective a file; ``Objective`` is their contract."""

from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.teacher import TeacherTraining
from domains.distillation.objectives.vsd import VSD

__all__ = ["VSD", "Objective", "SiD", "TeacherTraining"]
