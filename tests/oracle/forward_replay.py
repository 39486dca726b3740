"""The table of forward.py by torchferry alone: models are exported here, run by torchferry-replay, and judged against what old PyTorch recorded.

Faults of weights are checkpoints that replay swaps into the honest export; faults of code are exports of their own. The exact passes are
float32 and float64; the modules are those that replay reads off the exported graph.

    python forward_replay.py [--all] [--device cuda] [MODEL-PATTERN]

Without --all every third fault is seeded: the others differ in what is judged, not in what is replayed, and forward.py has them all.
"""
import argparse
import fnmatch
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True

import torch  # noqa: E402

import forward as table  # noqa: E402
from forward import MODELS, OLD, TORCHFERRY, faults, golden_file, line, recorder, torchferry_verdict, zoo  # noqa: E402


def exported(model, old, folder, fault=None):
    """The model as a torch.export archive with a free batch size."""
    program = folder / "model.pt2"
    if fault is None:
        factory = ["--factory", f"{MODELS}/zoo.py:{model}", "--checkpoint", str(old.with_suffix(".pth"))]
    else:
        arguments = {"model": model, "fault": fault.name, "checkpoint": str(old.with_suffix(".pth"))}
        factory = ["--factory", f"{MODELS}/faults.py:faulty", "--kwargs", json.dumps(arguments)]
    code = recorder.main([*factory, "--inputs", str(old), "--export", str(program), "--dynamic-batch", "--threads", "1", "--quiet", "--force"])
    assert code == 0, f"{model}, {fault}: the export ended with {code}"
    return program


def replayed(program, old, folder, device, weights=None):
    output = folder / "new.npz"
    command = [TORCHFERRY, "replay", str(program), "--golden", str(old), "-o", str(output), "--run", "f32,f64", "--taps", "modules",
               "--device", device, "--threads", "1", "--samples", str(table.opened(old).root["samples"]), "--force"]
    if weights is not None:
        command += ["--weights", str(weights)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def weights_of_fault(fault, old, folder):
    """A checkpoint with the faulty weights, or None where the fault is in the code."""
    honest = zoo.build(fault.model)
    honest.load_state_dict(torch.load(old.with_suffix(".pth"), weights_only=True))
    faulty = faults.faulty(fault.model, fault.name, str(old.with_suffix(".pth")))
    before, after = honest.state_dict(), faulty.state_dict()
    if before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before):
        return None
    if before.keys() != after.keys() or str(honest) != str(faulty):
        return None
    path = folder / "faulty.pth"
    torch.save(after, path)
    return path


def one_model(model, folder, tally, step, device="cpu"):
    old = golden_file(OLD[0], model)
    honest = exported(model, old, folder).rename(folder / "honest.pt2")
    new = replayed(honest, old, folder, device)
    for version in ("1.4.0-py27", *OLD):
        verdict = torchferry_verdict(golden_file(version, model), new)
        alarm = verdict["outcome"] == "fail" or verdict["first_module"] is not None
        tally.honest += 1
        tally.alarms += alarm
        tally.largest_honest = max(tally.largest_honest, table.semantic_ratio(verdict))
        line(f"{version} → replay {model}", "honest", "-", "FALSE ALARM" if alarm else "-", table.semantic_ratio(verdict), verdict["outcome"])
    for fault in [fault for fault in faults.FAULTS if fault.model == model and fault.changes][::step]:
        weights = weights_of_fault(fault, old, folder)
        new = replayed(honest if weights else exported(model, old, folder, fault), old, folder, device, weights)
        for version in OLD:
            verdict = torchferry_verdict(golden_file(version, model), new)
            first = verdict["first_module"]
            found = (first["module"] or "(the model)") if first else "-"
            ratio = table.semantic_ratio(verdict)
            tally.seeded += 1
            tally.missed += verdict["outcome"] != "fail"
            tally.named += found == fault.module
            tally.least_fault = min(tally.least_fault, ratio)
            line(f"{version} → replay {model}", fault.name, fault.module, found, ratio, verdict["outcome"],
                 ", ".join(cause["id"] for cause in verdict["causes"][:3]))


def by_factory(folder):
    """Where there is no export, the factory itself runs in the new environment."""
    old, output = golden_file("1.4.0", "bilstm"), folder / "factory.npz"
    command = [TORCHFERRY, "replay", "--factory", f"{MODELS}/zoo.py:bilstm", "--python", sys.executable, "--golden", str(old), "--weights",
               str(old.with_suffix(".pth")), "--taps", "modules", "--samples", str(table.opened(old).root["samples"]), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    verdict = torchferry_verdict(old, output)
    assert verdict["outcome"] == "pass" and verdict["modules"], verdict["outcome"]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2 and "TF403" in again.stderr, again.stderr
    command[3] = f"{MODELS}/zoo.py:nothing"
    broken = subprocess.run([*command[:-1], str(folder / "other.npz")], capture_output=True, text=True)
    assert broken.returncode == 2 and "TF414" in broken.stderr and "nothing" in broken.stderr, broken.stderr
    print("bilstm by its factory: pass; no factory of that name: said so")


def main():
    warnings.simplefilter("ignore")
    if not (pathlib.Path(TORCHFERRY).parent / "torchferry-replay").exists():
        print("torchferry-replay is not built")
        sys.exit(77)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    tally = table.Tally()
    print(f"{'old → replayed, model':<32} {'fault':<36} {'sits in':<16} {'found':<16} {'ratio':>8}  outcome, likely causes")
    with tempfile.TemporaryDirectory() as folder:
        by_factory(pathlib.Path(folder))
        for model in fnmatch.filter(zoo.MODELS, options.model):
            one_model(model, pathlib.Path(folder), tally, 1 if options.all else 3, options.device)
    print(tally.text())
    assert tally.honest and tally.seeded and not tally.alarms and not tally.missed and tally.named >= 0.95 * tally.seeded


if __name__ == "__main__":
    main()
