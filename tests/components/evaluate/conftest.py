import pytest


@pytest.fixture(autouse=True)
def coarse_plots(monkeypatch):
    """Plots of few pixels, and not laid out: drawing them well is most of an evaluation's time. The whole run has them."""
    from components.evaluate import plots

    def save(path, figure):
        figure.set_layout_engine("none")
        figure.savefig(path, dpi=20)

    monkeypatch.setattr(plots, "_save", save)
