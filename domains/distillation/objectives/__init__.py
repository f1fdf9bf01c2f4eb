"""One objective a file; ``Objective`` is their contract."""

from domains.distillation.objectives.adversarial import Adversarial
from domains.distillation.objectives.distillation_dpo import DistillationDPO
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.score_lidar import ScoreLiDAR
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.teacher import TeacherTraining
from domains.distillation.objectives.vsd import VSD

__all__ = [
    "VSD",
    "Adversarial",
    "DistillationDPO",
    "Objective",
    "ScoreLiDAR",
    "SiD",
    "TeacherTraining",
]
