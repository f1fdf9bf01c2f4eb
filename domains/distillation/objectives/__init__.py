"""One objective a file; ``Objective`` is their contract."""

from domains.distillation.objectives.adversarial import Adversarial
from domains.distillation.objectives.consistency import Consistency
from domains.distillation.objectives.diffusion_dpo import DiffusionDPO
from domains.distillation.objectives.distillation_dpo import DistillationDPO
from domains.distillation.objectives.f_distill import FDistill
from domains.distillation.objectives.flow_map import FlowMap
from domains.distillation.objectives.objective import Objective
from domains.distillation.objectives.phased_dmd import PhasedDMD
from domains.distillation.objectives.progressive import Progressive
from domains.distillation.objectives.rcm import RCM
from domains.distillation.objectives.score_lidar import ScoreLiDAR
from domains.distillation.objectives.sfd import SFD
from domains.distillation.objectives.sid import SiD
from domains.distillation.objectives.sim import SIM
from domains.distillation.objectives.tdm import TDM
from domains.distillation.objectives.teacher import TeacherTraining
from domains.distillation.objectives.vsd import VSD

__all__ = [
    "RCM",
    "SFD",
    "SIM",
    "TDM",
    "VSD",
    "Adversarial",
    "Consistency",
    "DiffusionDPO",
    "DistillationDPO",
    "FDistill",
    "FlowMap",
    "Objective",
    "PhasedDMD",
    "Progressive",
    "ScoreLiDAR",
    "SiD",
    "TeacherTraining",
]
