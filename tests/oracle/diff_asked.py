"""`diff` of a checkpoint of PyTorch's own modules and what `convert` made of it on request (--select, --fix, --rename …): identical but for
the listed changes, exit 0, either way round; what the options are is known from the record in the file. And where a tensor of such a
conversion was dropped or changed afterwards: exit 1 and its name. Models in files of named tensors: which parts count.

    python diff_asked.py [NAME-PATTERN]
"""
import fnmatch
import pathlib
import sys
import tempfile
import warnings

import ferry_oracle as oracle
from diff_converted import diff

warnings.filterwarnings("ignore")


def normed(norm):
    import torch
    model = torch.nn.Sequential(norm(torch.nn.Linear(4, 6)), torch.nn.ReLU(), norm(torch.nn.Linear(6, 3)))
    model(torch.randn(2, 4))
    return model.state_dict()


def averaged():
    import torch
    model = torch.optim.swa_utils.AveragedModel(torch.nn.Linear(4, 3))
    model.update_parameters(torch.nn.Linear(4, 3))
    return model.state_dict()


def attention(split):
    import torch
    state = torch.nn.MultiheadAttention(8, 2).state_dict()
    if split:
        for kind in ("weight", "bias"):
            whole = state.pop("in_proj_" + kind)
            for name, part in zip("qkv", whole.chunk(3)):
                state["%s_proj.%s" % (name, kind)] = part.clone()
    return state


def wrapped():
    import torch
    return {"blocks.%d._checkpoint_wrapped_module.%s" % (i, n): torch.randn(5) for i in range(12) for n in ("weight", "bias")}


def training():
    import torch
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(5, 6))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(2, 3, 7, 7)).sum().backward()
    optimizer.step()
    ema = {name: tensor.clone() * 3 // 4 for name, tensor in model.state_dict().items()}
    return {"model": model.state_dict(), "ema": ema, "optimizer": optimizer.state_dict(), "epoch": 3}


def norms():
    import torch
    return torch.nn.utils


CASES = {
    "wrappers": (wrapped, ["--fix", "wrappers"]),
    "rename": (wrapped, ["--rename", r"blocks\.(\d+)\._checkpoint_wrapped_module=layers.$1"]),
    "averaged_model": (averaged, ["--fix", "averaged_model"]),
    "weight_norm": (lambda: normed(norms().weight_norm), ["--fix", "weight_norm"]),
    "weight_norm_hooks": (lambda: normed(norms().parametrizations.weight_norm), ["--fix", "weight_norm_hooks"]),
    "spectral_norm": (lambda: normed(norms().spectral_norm), ["--fix", "spectral_norm"]),
    "spectral_norm_hooks": (lambda: normed(norms().parametrizations.spectral_norm), ["--fix", "spectral_norm_hooks"]),
    "in_proj": (lambda: attention(True), ["--fix", "in_proj"]),
    "qkv_proj": (lambda: attention(False), ["--fix", "qkv_proj"]),
    "select": (training, ["--select", "model"]),
    "exclude": (training, ["--exclude", "ema.*"]),
    "include": (training, ["--include", "model.*"]),
    "select_fix": (training, ["--select", "ema", "--exclude", "*num_batches_tracked"]),
    "nothing": (training, []),
}


def drop_one(state):
    """The name of the last tensor of a state_dict, which is taken out of it."""
    import torch
    place = state
    while not any(isinstance(value, torch.Tensor) for value in place.values()):
        place = next(value for value in place.values() if isinstance(value, dict))
    name = [key for key, value in place.items() if isinstance(value, torch.Tensor)][-1]
    del place[name]
    return name


def check_case(name, make, options, folder):
    import torch
    failures = []
    torch.manual_seed(7)
    source = folder / "source.pt"
    torch.save(make(), source)
    for target, suffix in (("pt", "pt"), ("safetensors", "safetensors"), ("hdf5", "h5")):
        result = folder / ("result." + suffix)
        status, message = oracle.convert(source, result, "--to", target, *options)
        if status != 0:
            failures.append("convert --to %s, exit %s: %s" % (target, status, message))
            continue
        for before, after in ((source, result), (result, source)):
            status, document, said = diff(before, after)
            if status != 0:
                rows = [(r["name"], r["state"]) for r in (document or {}).get("tensors", []) if r["state"] not in ("equal",)][:3]
                failures.append("%s against %s: exit %s %s %s" % (before.name, after.name, status, said, rows))
    # By PyTorch, so the record of the conversion is gone: only the dropped tensor may be told.
    result = folder / "result.pt"
    state = oracle.load_safely(result)
    lost = drop_one(state)
    broken = folder / "broken.pt"
    torch.save(state, broken)
    status, document, said = diff(result, broken)
    rows = [r["name"] for r in (document or {}).get("tensors", []) if r["state"] == "removed"]
    if status != 1 or len(rows) != 1 or not rows[0].endswith(lost):
        failures.append("dropped %s: exit %s %s %s" % (lost, status, rows, said))
    return failures


def check_parts(folder):
    """A file of named tensors holds the model under the names of its parts, or without them."""
    import safetensors.torch
    import torch
    failures = []
    parts = {"encoder": {"w": torch.randn(3)}, "decoder": {"w": torch.randn(3)}}
    both, whole, lacking, alone = (folder / name for name in ("both.pt", "whole.safetensors", "lacking.safetensors", "alone.safetensors"))
    torch.save({**parts, "optimizer": {"state": {0: {"m": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}}, both)
    safetensors.torch.save_file({"encoder.w": parts["encoder"]["w"], "decoder.w": parts["decoder"]["w"]}, whole)
    safetensors.torch.save_file({"encoder.w": parts["encoder"]["w"]}, lacking)
    safetensors.torch.save_file({"w": parts["decoder"]["w"]}, alone)
    for path, expected in ((whole, 0), (lacking, 1), (alone, 0)):
        for before, after in ((both, path), (path, both)):
            status, document, said = diff(before, after)
            missing = [r["name"] or r["renamed_to"] for r in (document or {}).get("tensors", []) if r["state"] in ("removed", "added")]
            if status != expected or missing != (["decoder.w"] if expected else []):
                failures.append("%s against %s: exit %s %s %s" % (before.name, after.name, status, missing, said))
    return failures


def check(name):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        failures = check_parts(folder) if name == "parts" else check_case(name, *CASES[name], folder)
    return {"label": name, "group": "diff of what was asked", "failures": failures}


if __name__ == "__main__":
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    sys.exit(oracle.report(oracle.run_checks(check, [name for name in [*CASES, "parts"] if fnmatch.fnmatch(name, pattern)])))
