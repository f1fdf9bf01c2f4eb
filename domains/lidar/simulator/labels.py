"""SemanticKITTI's labels that the simulated streets use (Behley et al. 2019)."""

from enum import IntEnum

__all__ = ["Label"]


class Label(IntEnum):
    """Label of a point; 252 and above move and are left out of maps."""

    CAR = 10
    PERSON = 30
    ROAD = 40
    PARKING = 44
    SIDEWALK = 48
    BUILDING = 50
    FENCE = 51
    VEGETATION = 70
    TRUNK = 71
    TERRAIN = 72
    POLE = 80
    SIGN = 81
    OBJECT = 99
    MOVING_CAR = 252
    MOVING_PERSON = 254
