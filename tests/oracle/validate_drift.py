"""`validate --model --golden` from end to end: models of fixtures/models, exported by the PyTorch that is here with weights of its own, get
the converted weights of 1.4.0 and 1.12.1 and are held against the goldens of these. Honest conversions pass; a weight that is off by a
thousandth fails the semantic case, and the module that holds it is named. A run under autocast is judged without asking for its emulation.
"""
import os
import pathlib
import sys
import tempfile
import warnings

import ferry_oracle as oracle
import validate

sys.dont_write_bytecode = True
sys.path.insert(0, str(oracle.FIXTURES / "models"))
# Exported with a batch of any size, as the goldens have two.
MODELS = ("convnet", "vq", "bilstm")
FAULTS = {"convnet": "head.weight", "vq": "decoder.0.weight", "bilstm": "head.weight"}


class Item:
    def __init__(self, name, release, faulty, model):
        self.name, self.release, self.faulty, self.model = name, release, faulty, model
        self.group = "faulty" if faulty else "honest"
        self.reduced = not faulty and name != "bilstm"  # few processors have an LSTM in bfloat16
        self.label = "%s of %s%s" % (name, release, ", a weight off" if faulty else "")


def export(name, path):
    """The model with other weights than any golden has: what is not swapped in will show."""
    import torch
    import zoo
    torch.manual_seed(1)
    model = zoo.CLASSES[name]().eval()
    call = zoo.cases(name)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(model, call["args"], dynamic_shapes=({0: batch},), strict=False)
        torch.export.save(program, path)


def faulty_weight(state, wanted):
    """The name of a weight, and the state with its first element off by a thousandth."""
    name = wanted if wanted in state else next(n for n, t in reversed(list(state.items())) if t.dim() > 1)
    state[name] = state[name].clone()
    state[name].view(-1)[0] *= 1.001
    return name


def check(item):
    import torch
    result = {"label": item.label, "group": item.group, "failures": []}
    golden = next(p for suffix in (".npz", ".h5") for p in [oracle.FIXTURES / "goldens" / item.release / (item.name + suffix)] if p.exists())
    before = golden.with_suffix(".pth")
    with tempfile.TemporaryDirectory() as folder:
        after = pathlib.Path(folder, "new.pth")
        oracle.convert(before, after)
        name = None
        if item.faulty:
            state = torch.load(after, weights_only=True)
            name = faulty_weight(state, FAULTS[item.name])
            torch.save(state, after)
        status, report = validate.validate(before, after, "--model", item.model, "--golden", golden, "--device", "cpu",
                                            *(("--run", "autocast-bf16") if item.reduced else ()))
    cases = validate.cases_of(report)
    drift = {key: case for key, case in cases.items() if key.startswith("drift")}
    semantic = [case for key, case in drift.items() if key.startswith("drift.semantic.cpu.")]
    bad = {key: case["message"] for key, case in drift.items() if case["status"] in ("failed", "error")}
    if not semantic:
        result["failures"].append("no semantic case: %s" % {key: case["message"] for key, case in drift.items()})
    elif not item.faulty and (status != 0 or bad):
        result["failures"].append("exit %d: %s" % (status, bad or {k: c["message"] for k, c in cases.items() if c["status"] == "failed"}))
    elif item.reduced and not any(case["status"] == "passed" for key, case in drift.items() if key.startswith("drift.autocast-bf16.cpu.")):
        result["failures"].append("autocast was not judged: %s" % {key: case["message"] for key, case in drift.items()})
    elif item.faulty:
        failed = [case for case in semantic if case["status"] == "failed"]
        named = [d["subject"] for case in failed for d in case["details"] if "first module that differs" in d["what"]]
        if status != 1 or not failed:
            result["failures"].append("exit %d, semantic cases %s" % (status, [c["message"] for c in semantic]))
        elif not any(subject.split(" ")[0].startswith(name.rsplit(".", 1)[0]) for subject in named):
            result["failures"].append("%s is off, named: %s" % (name, named))
    return result


def helper():
    path = pathlib.Path(os.environ.get("TORCHFERRY_REPLAY") or pathlib.Path(oracle.binary()).with_name("torchferry-replay"))
    return path if path.exists() else None


if __name__ == "__main__":
    if helper() is None:
        print("torchferry-replay is missing: nothing was run")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as shared:
        paths = {name: pathlib.Path(shared, name + ".pt2") for name in MODELS}
        for name, path in paths.items():
            export(name, path)
        items = [Item(name, release, faulty, path) for name, path in paths.items() for release in ("1.4.0", "1.12.1")
                 for faulty in (False, True)]
        sys.exit(oracle.report(oracle.run_checks(check, items)))
