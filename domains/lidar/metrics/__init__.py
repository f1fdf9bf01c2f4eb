"""Measures of completed scenes against ground truth, both in metre and in the sensor frame."""
