"""Seconds for one epsilon query, from a new accountant: Poisson-subsampled Gaussian, add-or-remove-one adjacency.

Cases are the rows G07, G21, G31 and G33 of ../../golden/accounting.csv for four accountants: RDP and PLD of dp_accounting (default
orders; discretisation 1e-4), RDP and PRV of Opacus (default orders; epsilon error 0.01). The check is the epsilon.
"""

import csv
import os
import warnings

from common import HERE, arguments, report, seconds

import dp_accounting
from dp_accounting import pld, rdp
from opacus.accountants import PRVAccountant, RDPAccountant

ROWS = ("G07", "G21", "G31", "G33")
ACCOUNTANTS = ("dp_accounting-rdp", "dp_accounting-pld", "opacus-rdp", "opacus-prv")
CASES = [f"{row}/{name}" for row in ROWS for name in ACCOUNTANTS]
warnings.filterwarnings("ignore")


def configurations():
    """q, sigma, steps, delta of each row."""
    with open(os.path.join(HERE, "..", "..", "golden", "accounting.csv"), newline="") as f:
        return {row["id"]: (float(row["q"]), float(row["sigma"]), int(row["steps"]), float(row["delta"]))
                for row in csv.DictReader(f) if row["id"] in ROWS}


def epsilon(name, q, sigma, steps, delta):
    """One query from nothing."""
    if name.startswith("dp_accounting"):
        event = dp_accounting.SelfComposedDpEvent(dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma)), steps)
        accountant = rdp.RdpAccountant() if name.endswith("rdp") else pld.PLDAccountant(value_discretization_interval=1e-4)
        return accountant.compose(event).get_epsilon(delta)
    accountant = RDPAccountant() if name.endswith("rdp") else PRVAccountant()
    accountant.history = [(sigma, q, steps)]
    return accountant.get_epsilon(delta)


def main(args):
    rows = configurations()
    for case in args.case:
        row, name = case.split("/")
        q, sigma, steps, delta = rows[row]
        value = float(epsilon(name, q, sigma, steps, delta))
        times = seconds(lambda _: epsilon(name, q, sigma, steps, delta), args.repeats)
        report(args, "accounting", case, "s/query", times, {"epsilon": value}, q=q, sigma=sigma, steps=steps, delta=delta)


if __name__ == "__main__":
    main(arguments(__doc__, 5, CASES))
