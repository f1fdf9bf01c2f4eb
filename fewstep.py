"""fewstep in Python: sample backbones and complete scans with a finished student.

>>> import fewstep
>>> chains = fewstep.ProteinStudent().sample(length=100, number=10)  # ångström [10, 100, 3]
>>> scene = fewstep.SceneStudent().complete(scan)  # metre [m, 3]

All else is done by the commands and the workflow: ``fewstep --help``.
"""

from domains import __version__
from domains.errors import FewstepError
from domains.stages.students import ProteinStudent, SceneStudent

__all__ = ["FewstepError", "ProteinStudent", "SceneStudent", "__version__"]
