#!/usr/bin/env python3
"""What scripts/bench compares torchferry with: the same work by hand, in Python with PyTorch.

  convert SRC OUT   torch.load, the edits that torchferry makes, torch.save; of a folder every file, in one process
  load SRC          torch.load
  change SRC OUT    every floating-point tensor moved a little, as a step of training does
  compare A B       load both; of every tensor the figures that torchferry diff prints
  same A B          exit 0 if two files, or the files of two folders, hold the same values bit for bit
"""
import collections
import pathlib
import sys

import torch

# What 2.13 expects in a group of Adam beyond what 1.4 wrote.
ADAM_GROUP = {"maximize": False, "foreach": None, "capturable": False, "differentiable": False, "fused": None}


def edit_optimizer(optimizer):
    ids = [i for group in optimizer["param_groups"] for i in group["params"]]
    index = {i: k for k, i in enumerate(ids)}
    state = {index[i]: entry for i, entry in optimizer["state"].items()}
    for entry in state.values():
        entry["step"] = torch.tensor(float(entry["step"]))
    optimizer["state"] = state
    for group in optimizer["param_groups"]:
        group["params"] = [index[i] for i in group["params"]]
        for key, value in ADAM_GROUP.items():
            group.setdefault(key, value)


def scaler_of(amp):
    return {"scale": amp["loss_scaler0"]["loss_scale"], "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000,
            "_growth_tracker": amp["loss_scaler0"]["unskipped"]}


def convert_file(source, destination):
    checkpoint = torch.load(source, map_location="cpu", weights_only=True)
    torch.nn.modules.utils.consume_prefix_in_state_dict_if_present(checkpoint["model_state"], "module.")
    if "optimizer_state" in checkpoint:
        edit_optimizer(checkpoint["optimizer_state"])
    if "amp" in checkpoint:
        checkpoint["scaler"] = scaler_of(checkpoint.pop("amp"))
    torch.save(checkpoint, destination)


def files_of(path):
    return [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())


def convert(source, destination):
    if source.is_file():
        return convert_file(source, destination)
    for path in files_of(source):
        out = destination / path.relative_to(source)
        out.parent.mkdir(parents=True, exist_ok=True)
        convert_file(path, out)


def difference(a, b, path):
    """Where two values differ first, or None."""
    if type(a) is not type(b):
        return "%s: %s and %s" % (path, type(a).__name__, type(b).__name__)
    if isinstance(a, torch.Tensor):
        if (a.dtype, a.shape, a.stride()) != (b.dtype, b.shape, b.stride()):
            return "%s: other kinds of tensor" % path
        if not torch.equal(a.contiguous().flatten().view(torch.uint8), b.contiguous().flatten().view(torch.uint8)):
            return "%s: other bits" % path
        return None
    if isinstance(a, (dict, list, tuple)):
        keys = list(a) if isinstance(a, dict) else range(len(a))
        if len(a) != len(b) or isinstance(a, dict) and set(a) != set(b):
            return "%s: other entries" % path
        metadata = None
        if isinstance(a, collections.OrderedDict):
            metadata = difference(getattr(a, "_metadata", None), getattr(b, "_metadata", None), path + "._metadata")
        return metadata or next(filter(None, (difference(a[k], b[k], "%s.%s" % (path, k)) for k in keys)), None)
    return None if a == b else "%s: %r and %r" % (path, a, b)


def tensors_of(value, path=""):
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_of(item, "%s.%s" % (path, key))


def change(source, destination):
    checkpoint = torch.load(source, weights_only=True)
    random = torch.Generator().manual_seed(2)
    for _, tensor in tensors_of(checkpoint):
        if tensor.is_floating_point():
            tensor.mul_(1 + 1e-3 * torch.empty(tensor.shape).normal_(generator=random))
    torch.save(checkpoint, destination)


def figures(a, b):
    """A tensor at a time, as people write it: everything in double."""
    a, b = a.double(), b.double()
    d = (b - a).abs()
    square = float((d * d).sum())
    return {"differing": int((a != b).sum()), "max_abs": float(d.max()), "max_rel": float((d / a.abs()).nan_to_num(0).max()),
            "rms": (square / d.numel()) ** 0.5, "relative_frobenius": (square / max(1e-300, float((a * a).sum()))) ** 0.5,
            "cosine": float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))}


def compare(a, b):
    before, after = (torch.load(path, map_location="cpu", weights_only=True) for path in (a, b))
    after = dict(tensors_of(after))
    for path, tensor in tensors_of(before):
        figures(tensor, after[path])


def same(a, b):
    ours, theirs = files_of(a), files_of(b)
    if [p.relative_to(a) for p in ours] != [p.relative_to(b) for p in theirs]:
        sys.exit("%s and %s: other files" % (a, b))
    for pair in zip(ours, theirs):
        found = difference(*(torch.load(path, weights_only=True, mmap=True) for path in pair), "")
        if found:
            sys.exit("%s and %s differ at %s" % (*pair, found))


if __name__ == "__main__":
    verb, *paths = sys.argv[1:] or ["--help"]
    paths = [pathlib.Path(path) for path in paths]
    if (verb, len(paths)) == ("convert", 2):
        convert(*paths)
    elif (verb, len(paths)) == ("load", 1):
        torch.load(paths[0], map_location="cpu", weights_only=True)
    elif (verb, len(paths)) == ("change", 2):
        change(*paths)
    elif (verb, len(paths)) == ("compare", 2):
        compare(*paths)
    elif (verb, len(paths)) == ("same", 2):
        same(*paths)
    else:
        print(__doc__.strip())
        sys.exit(0 if verb in ("-h", "--help") else 2)
