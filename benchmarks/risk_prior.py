"""Learn the prior that comes with the product, and write it where it belongs: ``python -m benchmarks.risk_prior``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import console
from benchmarks.risk import folder, load
from productops.adapters import development_risk_files as files
from productops.stats.risk_calibration import Calibration
from productops.stats.risk_model import RiskParts, learn_prior
from productops.stats.risk_trees import rounded

PROVENANCE = {
    "learned_from": "just-in-time defect data of six projects (Gerrit, Go, JDT, OpenStack, Platform, Qt), first 80 % of time of each",
    "source": "https://github.com/ZZR0/ISSTA21-JIT-DP at 5fbf45bb8391e551d879a55fe80a5047c54351c5",
    "paper": "Zeng et al. 2021, Deep just-in-time defect prediction: how far are we? ISSTA",
    "licence": "MIT; this file holds trees learned from the data, none of the data",
    "learned_by": "python -m benchmarks.risk_prior",
}


def main() -> None:
    """From the folder that ``PRODUCTOPS_BENCH_DATA`` names."""
    projects = [load(path) for path in sorted(folder().glob("*.csv.gz"))]
    trees = rounded(learn_prior([(each.features, each.label) for each in projects]), 6)
    label = sum(int(each.label.sum()) for each in projects)
    model = RiskParts(0.0, trees, None, 0.0, Calibration(), 0.5, sum(len(each.label) for each in projects), label)
    path = Path(files.__file__).with_name(files.PUBLIC)
    files.save_model(path, model, provenance=PROVENANCE)
    console.print(f"{path.name}: {path.stat().st_size:,} bytes, {len(trees)} trees")


if __name__ == "__main__":
    main()
