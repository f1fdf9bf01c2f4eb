"""fewstep: few-step students of scientific diffusion teachers."""

__version__ = "0.2.0"
