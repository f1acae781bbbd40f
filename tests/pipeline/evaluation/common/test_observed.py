"""What is warned of below a figure."""

import matplotlib.pyplot as plt

from pipeline.evaluation.common.observed import LETTERS, warn_below


def test_all_warnings_stand_below_a_figure_whole() -> None:
    warnings = [f"warning {k} " + "of many words " * 15 + "with its effect at the end" for k in range(9)]
    figure = plt.figure(figsize=(8.4, 4.4))
    warn_below(figure, warnings)
    lines = figure.get_supxlabel().splitlines()
    assert " ".join(" ".join(lines).split()) == " ".join(f"! {text}" for text in warnings)
    assert max(map(len, lines)) <= LETTERS * 8.4
    assert figure.get_figheight() > 4.4 + 0.1 * (len(lines) - 5)
    plt.close(figure)
