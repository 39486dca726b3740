"""pt -> safetensors, hdf5, npz -> pt over every recorded checkpoint: what each container holds is read with the package whose format it
is, bit for bit; what comes back is the same tree; and `torchferry hash` is the same for all of them. What a container cannot hold is
refused by name: the table at the end counts the reasons.

    python round_trips.py [--all] [NAME-PATTERN]

Every file goes through one container, and every seventh through all of them and from each to the next; with --all every file does.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zlib

import ferry_oracle as oracle

# Which containers cannot hold which types: the reasons that may be given.
REASONS = {
    "safetensors": r"safetensors has no name for the type (complex128|complex32|quint8|qint8|qint32|quint4x2|quint2x4|bits\w+)",
    "npz": r"numpy has no element type for (float8_\w+|float4_\w+|complex32|q\w+|bits\w+)|names that differ in case only",
    "hdf5": r"HDF5 has no form for the type '(q\w+|bits\w+|complex32)'",
}
ANY = r"a meta tensor has no data|a storage that is no tensor's has no form here|two tensors would have the name"
EVERY_TARGET = "--all" in sys.argv[1:]
SUFFIX = {"safetensors": ".safetensors", "npz": ".npz", "hdf5": ".h5"}


def key_text(key):
    """As paths in messages have it."""
    if isinstance(key, tuple):
        return "(" + ", ".join(key_text(k) if not isinstance(k, tuple) else "(\u2026)" for k in key) + ")"
    return str(key)


def tensors_by_name(value, path=(), seen=None, found=None):
    """All names of all tensors, each container once."""
    import torch
    seen = set() if seen is None else seen
    found = collections.OrderedDict() if found is None else found
    if isinstance(value, torch.Tensor):
        parts = oracle.parts_of(value)
        found.update({path + (name,): part for name, part in parts.items()} if parts else {path: value})
    elif isinstance(value, (dict, list, tuple, set)) and id(value) not in seen:
        seen.add(id(value))
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            tensors_by_name(item, path + (key_text(key),), seen, found)
    return found


def read_safetensors(path):
    """Names and bytes; a further name of a tied tensor stands in the metadata."""
    import safetensors.torch
    import torch
    found = {}
    with safetensors.safe_open(str(path), framework="pt") as file:
        for name in file.keys():
            tensor = file.get_tensor(name)
            found[name] = (tuple(tensor.shape), str(tensor.dtype), oracle.bits(tensor))
        metadata = file.metadata()
    assert metadata["format"] == "pt" and json.loads(metadata["torchferry"])["schema"] == "torchferry.provenance/1"
    for name, kept in metadata.items():
        if name not in ("format", "torchferry"):
            found[name] = found[kept]
    head = path.read_bytes()[:8]
    assert int.from_bytes(head, "little") % 8 == 0
    header = json.loads(path.read_bytes()[8:8 + int.from_bytes(head, "little")])
    del header["__metadata__"]
    # The library puts the same tensors into the same order.
    with safetensors.safe_open(str(path), framework="pt") as file:
        again = safetensors.torch.save({name: file.get_tensor(name) for name in file.keys()})
    own = json.loads(again[8:8 + int.from_bytes(again[:8], "little")])
    own.pop("__metadata__", None)
    assert list(own.items()) == list(header.items()), "another order than the library's"
    return found


def read_npz(path):
    import numpy
    import zipfile
    with numpy.load(path, allow_pickle=False) as file:
        found = {name: (file[name].shape, None, file[name].tobytes()) for name in file.files}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        data = path.read_bytes()
        for record in archive.infolist():
            begin = record.header_offset + 30 + int.from_bytes(data[record.header_offset + 26:record.header_offset + 28], "little") \
                + int.from_bytes(data[record.header_offset + 28:record.header_offset + 30], "little")
            assert begin % 64 == 0 and data[begin:begin + 6] == b"\x93NUMPY" and (data[begin + 8] + 256 * data[begin + 9] + 10) % 64 == 0
    return found


def read_hdf5(path):
    import h5py
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name != "__torchferry__":
            parts = [re.sub("%2F", "/", p).replace("%00", "\0").replace("%2E", ".").replace("%25", "%") if p != "%" else ""
                     for p in name.split("/")]
            data = item[()]
            assert item.nbytes < 64 or item.id.get_offset() % 64 == 0
            found[".".join(parts)] = (item.shape, None, data.tobytes())
    with h5py.File(path, "r") as file:
        file.visititems(visit)
        assert json.loads(file.attrs["torchferry"])["source"]["xxh3_128"] != "0" * 32
    return found


READERS = {"safetensors": read_safetensors, "npz": read_npz, "hdf5": read_hdf5}


def compare_with_library(target, path, tensors):
    names = {".".join(p) if p else "value": t for p, t in tensors.items()}
    found = READERS[target](path)
    problems = []
    for name, tensor in names.items():
        if name not in found:
            if target == "safetensors":
                problems.append("%s: %s is missing" % (target, name))
            continue                                          # hdf5 and npz name a tied tensor once
        shape, dtype, data = found.pop(name)
        if tuple(shape) != tuple(tensor.shape) or data != oracle.bits(tensor.resolve_conj().resolve_neg()):
            problems.append("%s: %s differs" % (target, name))
        if dtype not in (None, str(tensor.dtype)):
            problems.append("%s: %s is of type %s" % (target, name, dtype))
    if found:
        problems.append("%s holds %s too" % (target, sorted(found)[:3]))
    return problems


def same_tree(a, b):
    """But for strides: what is copied by itself is contiguous. A dict of tensors alone comes back as a plain one, in any order."""
    import torch
    flat = isinstance(a, dict) and a and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in a.items()) \
        and isinstance(b, dict) and type(b) is dict and set(a) == set(b)
    if flat:
        a, b = dict(a), {k: b[k] for k in a}
    return [d for d in oracle.differences(whole(a), whole(b))]


def whole(value, made=None):
    """A copy of the tree in which every tensor is contiguous."""
    import torch
    made = {} if made is None else made
    if id(value) in made:
        return made[id(value)][0]
    if isinstance(value, torch.Tensor) and not oracle.parts_of(value):
        copy = value.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format).requires_grad_(value.requires_grad)
    elif isinstance(value, dict):
        copy = type(value)()
        made[id(value)] = (copy, value)
        for key, item in value.items():
            copy[key] = whole(item, made)
        if hasattr(value, "_metadata"):
            copy._metadata = value._metadata
    elif isinstance(value, list):
        copy = []
        made[id(value)] = (copy, value)
        copy.extend(whole(item, made) for item in value)
    elif type(value) is tuple:
        copy = tuple(whole(item, made) for item in value)
    else:
        copy = value
    made[id(value)] = (copy, value)
    return copy


def hashes(*paths):
    done = subprocess.run([oracle.binary(), "hash"] + [str(p) for p in paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return {line.split()[0] for line in lines}, len(lines), done.stderr.decode("utf-8", "replace")


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": [], "refused": [], "held": []}
    fail = result["failures"].append
    with tempfile.TemporaryDirectory() as folder:
        reference = pathlib.Path(folder, "reference.pt")
        status, message = oracle.convert(case.file, reference)
        if status == 3:                                     # refused for safety: nothing to carry anywhere
            result["skipped"] = True
            return result
        if status != 0:
            fail("convert, exit %s: %s" % (status, message))
            return result
        value = oracle.load_safely(reference)
        tensors = tensors_by_name(value)
        held, number = [reference], zlib.crc32(case.label.encode())
        every = EVERY_TARGET or number % 7 == 0
        for target, suffix in SUFFIX.items():
            if not every and target != list(SUFFIX)[number % len(SUFFIX)]:
                continue
            path, back = pathlib.Path(folder, "to" + suffix), pathlib.Path(folder, target + ".pt")
            status, message = oracle.convert(reference, path, "--to", target)
            if status != 0:
                reason = re.search(REASONS[target] + "|" + ANY, message)
                if status != 2 or not reason or path.exists():
                    fail("%s, exit %s: %s" % (target, status, message))
                else:
                    result["refused"].append("%s: %s" % (target, reason.group(0)))
                continue
            result["held"].append(target)
            result["failures"] += compare_with_library(target, path, tensors)
            status, message = oracle.convert(path, back, "--layout", "keep")
            if status != 0:
                fail("back from %s, exit %s: %s" % (target, status, message))
                continue
            result["failures"] += ["back from %s: %s" % (target, d) for d in same_tree(value, oracle.load_safely(back))]
            again = pathlib.Path(folder, "again" + suffix)
            oracle.convert(reference, again, "--to", target)
            if again.read_bytes() != path.read_bytes():
                fail("%s: the same input gives other bytes" % target)
            held += [path, back]
        found, count, said = hashes(*held)
        if len(found) != 1 or count != len(held):
            fail("%d hashes of %d files %s" % (len(found), count, said[:100]))
        # From container to container, without torch's own between them.
        if len(result["held"]) == 3:
            chain = reference
            for i, target in enumerate(("safetensors", "hdf5", "npz", "safetensors", "pt")):
                path = pathlib.Path(folder, "chain%d%s" % (i, SUFFIX.get(target, ".pt")))
                status, message = oracle.convert(chain, path, "--to", target, "--layout", "keep")
                if status != 0:
                    fail("chain to %s, exit %s: %s" % (target, status, message))
                    return result
                chain = path
            result["failures"] += ["chain: %s" % d for d in same_tree(value, oracle.load_safely(chain))]
    return result


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--all"]
    pattern = arguments[0] if arguments else "*"
    results = oracle.run_checks(check, oracle.cases(pattern))
    status = oracle.report(results)
    held, refused = collections.Counter(), collections.Counter()
    for result in results:
        held.update(result.get("held", ()))
        refused.update(result.get("refused", ()))
    print("\n%-72s %6s" % ("held, and came back equal" if status == 0 else "held", "files"))
    for target, count in held.items():
        print("%-72s %6d" % (target, count))
    print("\n%-72s %6s" % ("refused by name", "files"))
    for reason, count in sorted(refused.items()):
        print("%-72s %6d" % (reason, count))
    return status


if __name__ == "__main__":
    sys.exit(main())
