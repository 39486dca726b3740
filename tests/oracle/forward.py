"""The table of false alarms and misses: what torchferry says of honest and of faulty models, from real PyTorch to real PyTorch.

Honest pairs are the committed goldens of 1.4.0 (both Pythons) and 1.12.1 against each other and against the same models recorded here, in
this PyTorch; faulty ones are recorded here with a fault of fixtures/models/faults.py seeded. None may be missed, none may be a false
alarm, the module that a fault sits in has to be named in 95 of 100. torchferry and _forward_reference.py, which shares nothing with it,
must say the same: whether it is one function, the ratio of float64 to float64 (allowed: 1024) to six digits, the first module that differs.

    python forward.py [MODEL-PATTERN]
"""
import fnmatch
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(__file__).resolve().parents[2]
MODELS, GOLDENS = SOURCE / "fixtures/models", SOURCE / "fixtures/goldens"
sys.path[:0] = [str(SOURCE / "scripts"), str(MODELS)]

import _forward_reference as reference  # noqa: E402
import faults  # noqa: E402
import torchferry_recorder as recorder  # noqa: E402
import zoo  # noqa: E402

TORCHFERRY = os.environ["TORCHFERRY"]
OLD = ("1.4.0", "1.12.1")
HONEST = (("1.4.0", "1.12.1"), ("1.4.0-py27", "1.4.0"), ("1.4.0-py27", "1.12.1"))


def golden_file(version, model):
    return next(path for path in (GOLDENS / version / (model + suffix) for suffix in (".npz", ".h5")) if path.exists())


def opened(path):
    return reference.committed(path) if GOLDENS in path.parents else reference.Golden(path)


def torchferry_verdict(old, new):
    done = subprocess.run([TORCHFERRY, "diff", str(old), str(new), "--json"], capture_output=True, text=True)
    assert done.stderr == "", done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["schema"] == "torchferry.forward/1"
    assert done.returncode == (verdict["outcome"] == "fail"), (done.returncode, verdict["outcome"])
    return verdict


def number(value):
    return {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}.get(value, value)


def semantic_ratio(verdict):
    """The largest of all rows. Rows of integers have no ratio, but an outcome."""
    return max((number(row["semantic"]["ratio"]) for row in verdict["outputs"] + verdict["modules"] if "semantic" in row), default=0.0)


def compare(old, new):
    """(torchferry's verdict, the reference's), which agree."""
    ours, theirs = torchferry_verdict(old, new), reference.Verdict(*map(opened, (old, new)))
    assert ours["semantic"], ours["semantic_why"]
    another = any("another function" in row["why"] for row in ours["outputs"] + ours["modules"])
    assert another == (not theirs.same_function), (old, new, another, theirs.semantic)
    if math.isfinite(theirs.semantic):
        assert abs(semantic_ratio(ours) - theirs.semantic) <= 1e-6 * theirs.semantic, (old, new, semantic_ratio(ours), theirs.semantic)
    return ours, theirs


def record(model, old, output, fault=None):
    """The model in this PyTorch, with the weights and the inputs of an old golden. All versions have the same ones."""
    if fault is None:
        factory = ["--factory", f"{MODELS}/zoo.py:{model}", "--checkpoint", str(old.with_suffix(".pth"))]
    else:
        arguments = {"model": model, "fault": fault.name, "checkpoint": str(old.with_suffix(".pth"))}
        factory = ["--factory", f"{MODELS}/faults.py:faulty", "--kwargs", json.dumps(arguments)]
    code = recorder.main([*factory, "--inputs", str(old), "--model", model, "--samples", str(opened(old).root["samples"]),
                          "--repeats", "1", "--threads", "1", "--quiet", "--force", "-o", str(output)])
    assert code == 0, f"{model}, {fault}: the recorder ended with {code}"


class Tally:
    def __init__(self):
        self.honest = self.harmless = self.alarms = self.seeded = self.missed = self.named = self.agreed = 0
        self.largest_honest, self.least_fault = 0.0, math.inf

    def add(self, other):
        for name in ("honest", "harmless", "alarms", "seeded", "missed", "named", "agreed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest_honest = max(self.largest_honest, other.largest_honest)
        self.least_fault = min(self.least_fault, other.least_fault)

    def text(self):
        harmless = f" and {self.harmless} with a harmless change" if self.harmless else ""
        return (f"{self.honest} honest runs{harmless}: {self.alarms} false alarms, largest ratio {self.largest_honest:.3g} of 1024\n"
                f"{self.seeded} seeded faults: {self.missed} missed, {self.named} named where they sit ({100 * self.named / max(1, self.seeded):.1f} %), "
                f"least ratio {self.least_fault:.2g}")


def line(pair, fault, module, found, ratio, outcome, causes=""):
    print(f"{pair:<32} {fault:<36} {module:<16} {found:<16} {ratio:>8.2g}  {outcome:<5} {causes}".rstrip())


def no_alarm(pair, what, old, new, tally):
    ours, theirs = compare(old, new)
    # A decision that rounding turns may be warned of, and weights that differ though nothing depends on them; nothing else may.
    may_warn = theirs.unstable or ours["weights_differing"]
    alarm = ours["first_module"] is not None or not (ours["outcome"] == "pass" or (may_warn and ours["outcome"] == "warn"))
    tally.honest += what == "honest"
    tally.harmless += what != "honest"
    tally.alarms += alarm
    tally.largest_honest = max(tally.largest_honest, theirs.semantic)
    line(pair, what, "-", "FALSE ALARM" if alarm else "-", theirs.semantic, ours["outcome"])


def one_fault(pair, fault, old, new, tally):
    ours, theirs = compare(old, new)
    first = ours["first_module"]
    found = (first["module"] or "(the model)") if first else "-"
    tally.seeded += 1
    tally.missed += ours["outcome"] != "fail"
    tally.named += found == fault.module
    tally.least_fault = min(tally.least_fault, theirs.semantic)
    # Where layers have changed places, either order has its own first one: torchferry takes the new side's, the reference the old.
    tally.agreed += found == theirs.first_bad
    line(pair, fault.name, fault.module, found, theirs.semantic, ours["outcome"], ", ".join(cause["id"] for cause in ours["causes"][:3]))


def one_model(model, folder, tally):
    new = folder / "new.npz"
    record(model, golden_file(OLD[0], model), new)
    for version in ("1.4.0-py27", *OLD):
        no_alarm(f"{version} → 2.x {model}", "honest", golden_file(version, model), new, tally)
    for old, other in HONEST:
        no_alarm(f"{old} → {other} {model}", "honest", golden_file(old, model), golden_file(other, model), tally)
    for fault in (fault for fault in faults.FAULTS if fault.model == model):
        record(model, golden_file(OLD[0], model), new, fault)
        for version in OLD:
            pair = f"{version} → 2.x {model}"
            if fault.changes:
                one_fault(pair, fault, golden_file(version, model), new, tally)
            else:
                no_alarm(pair, fault.name, golden_file(version, model), new, tally)


def main():
    warnings.simplefilter("ignore")
    models = fnmatch.filter(zoo.MODELS, sys.argv[1] if len(sys.argv) > 1 else "*")
    tally = Tally()
    print(f"{'old → new, model':<32} {'fault':<36} {'sits in':<16} {'found':<16} {'ratio':>8}  outcome, likely causes")
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            one_model(model, pathlib.Path(folder), tally)
    print(tally.text())
    assert tally.honest and tally.seeded and not tally.alarms and not tally.missed
    assert min(tally.named, tally.agreed) >= 0.95 * tally.seeded, (tally.named, tally.agreed)


if __name__ == "__main__":
    main()
