"""`diff` across containers: the weights of recorded checkpoints, written by the safetensors, numpy and h5py packages, whole and in shards,
against the checkpoint itself: equal, exit 0, and one `torchferry hash`. With one element changed by the package that wrote it: exit 1.

    python diff_formats.py [NAME-PATTERN]
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import ferry_oracle as oracle
from diff_converted import diff, is_plain, tensors_of, whole


def weights_of(state):
    """Tensors by dotted path that every container can hold: plain, not tied, of types that numpy knows."""
    import torch
    known = {torch.float16, torch.float32, torch.float64, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool}
    found, storages = {}, set()
    for container, key, path in tensors_of(state):
        tensor = container[key]
        if not is_plain(tensor) or tensor.dtype not in known or not path or "/" in path:
            continue
        name = tensor.untyped_storage()._cdata
        if name not in storages:
            storages.add(name)
            found[path] = whole(tensor)
    return found


def write_safetensors(weights, path):
    import safetensors.torch
    safetensors.torch.save_file(weights, path)


def write_npz(weights, path):
    import numpy
    with open(path, "wb") as file:
        numpy.savez(file, **{name: tensor.numpy() for name, tensor in weights.items()})


def write_npz_deflated(weights, path):
    import numpy
    with open(path, "wb") as file:
        numpy.savez_compressed(file, **{name: tensor.numpy() for name, tensor in weights.items()})


def write_hdf5(weights, path):
    import h5py
    with h5py.File(path, "w") as file:
        for name, tensor in weights.items():
            file.create_dataset(name, data=tensor.numpy())


def write_hdf5_chunked(weights, path):
    """In groups, chunked, shuffled and deflated."""
    import h5py
    with h5py.File(path, "w") as file:
        for name, tensor in weights.items():
            packed = {"compression": "gzip", "shuffle": True} if tensor.dim() and tensor.numel() else {}
            nested = all(other == name or not other.startswith(name + ".") and not name.startswith(other + ".") for other in weights)
            file.create_dataset(name.replace(".", "/") if nested and ".." not in name and name.strip(".") == name else name,
                                data=tensor.numpy(), **packed)


def write_shards(weights, path):
    import safetensors.torch
    names = list(weights)
    parts = [names[::2], names[1::2]]
    index = {"metadata": {}, "weight_map": {}}
    for i, part in enumerate(parts):
        file = "%s-%05d.safetensors" % (path.name, i)
        safetensors.torch.save_file({name: weights[name] for name in part}, path.with_name(file))
        index["weight_map"].update({name: file for name in part})
    path.write_text(json.dumps(index))


def write_torch(weights, path):
    import torch
    torch.save(weights, path)


WRITERS = (("w.safetensors", write_safetensors), ("w.npz", write_npz), ("deflated.npz", write_npz_deflated), ("w.h5", write_hdf5),
           ("chunked.h5", write_hdf5_chunked), ("w.safetensors.index.json", write_shards), ("w.pt", write_torch))


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "converted.pth")
        status, message = oracle.convert(case.file, out)
        if status != 0:
            result["failures"].append("convert, exit %s: %s" % (status, message))
            return result
        weights = weights_of(oracle.load_safely(out))
        if not weights:
            result["skipped"] = True
            return result
        reference = pathlib.Path(folder, "reference.pt")
        write_torch(weights, reference)
        hashes = set()
        for name, write in WRITERS:
            path = pathlib.Path(folder, name)
            write(weights, path)
            for before, after in ((reference, path), (path, reference)):
                status, document, said = diff(before, after)
                if status != 0:
                    rows = [r for r in (document or {}).get("tensors", []) if r["state"] != "equal"][:2]
                    result["failures"].append("%s %s: exit %s %s %s" % (before.name, after.name, status, said, rows))
            done = subprocess.run([oracle.binary(), "hash", str(path)], stdout=subprocess.PIPE)
            hashes.add(done.stdout.split()[0])
        if len(hashes) != 1:
            result["failures"].append("%d hashes" % len(hashes))

        fit = [n for n, t in weights.items() if t.numel() > 0]
        if fit:
            changed = dict(weights)
            changed[fit[-1]] = whole(weights[fit[-1]])
            flat = changed[fit[-1]].reshape(-1)
            flat[-1] = 0 if flat[-1] else 1
            for name, write in WRITERS:
                path = pathlib.Path(folder, "changed-" + name)
                write(changed, path)
                status, document, said = diff(reference, path)
                rows = [r["name"] for r in (document or {}).get("tensors", []) if r["state"] == "differs"]
                if status != 1 or rows != [fit[-1]]:
                    result["failures"].append("%s, %s changed: exit %s, %s %s" % (name, fit[-1], status, rows, said))
    return result


if __name__ == "__main__":
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    # A sample of every version: what is asked here is of the containers.
    cases = [case for i, case in enumerate(oracle.cases(pattern)) if len(sys.argv) > 1 or i % 8 == 0]
    sys.exit(oracle.report(oracle.run_checks(check, cases)))
