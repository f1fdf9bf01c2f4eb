"""fewstep: few-step students of scientific diffusion teachers."""

__version__ = "0.1.0"
