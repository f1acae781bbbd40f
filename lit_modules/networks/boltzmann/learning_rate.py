"""The learning rate of a Boltzmann machine."""

HELD = 0.1  # of the steps


def held_then_falling(step: int, steps: int) -> float:
    """Factor of the rate: 1 for a tenth of the steps, then falling linearly to 0, so that the chains keep up."""
    return min(1.0, (1 - step / steps) / (1 - HELD))
