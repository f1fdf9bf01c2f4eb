"""Samplers: functions over any denoiser, and the times they ask it at."""
