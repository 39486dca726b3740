"""Pickles without a container: every value of every protocol becomes what the Python that wrote it said (fixtures/write_pickles.py).

Files: fixtures/pickles/<writer>/everything.pN.pkl with expected.json beside them. With --pythons, every Python that is given (and this one)
writes all of its values anew, one file each, and all of them are converted and compared.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import ferry_oracle as oracle

FOLDER = oracle.FIXTURES / "pickles"
GENERATOR = oracle.FIXTURES / "write_pickles.py"


def encoded(value):
    """A loaded value in the form of expected.json."""
    import torch
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype)[len("torch."):]
        return {"$tensor": [dtype, list(value.shape), oracle.bits(value).hex() if value.numel() else ""]}
    if isinstance(value, int):
        return {"$int": str(value)}
    if isinstance(value, float):
        return {"$float": "nan" if math.isnan(value) else value.hex()}
    if isinstance(value, complex):
        return {"$complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes" if type(value) is bytes else "$bytearray": bytes(value).hex()}
    if isinstance(value, tuple):
        return {"$tuple": [encoded(v) for v in value]}
    if isinstance(value, list):
        return {"$list": [encoded(v) for v in value]}
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted((encoded(v) for v in value), key=repr)}
    if isinstance(value, dict):
        return {"$dict": [[encoded(k), encoded(v)] for k, v in value.items()]}
    raise TypeError(type(value))


def is_sorted_alike(want, got):
    """Equal but for the order of dicts, which Python before 3.7 does not keep."""
    if isinstance(want, dict) and isinstance(got, dict) and list(want) == list(got) == ["$dict"]:
        left, right = list(want["$dict"]), list(got["$dict"])
        for entry in left:
            match = [other for other in right if is_sorted_alike(entry, other)]
            if not match:
                return False
            right.remove(match[0])
        return not right
    if isinstance(want, dict) and isinstance(got, dict):
        return list(want) == list(got) and all(is_sorted_alike(want[k], got[k]) for k in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(want) == len(got) and all(map(is_sorted_alike, want, got))
    return want == got and type(want) is type(got)


def holds(part, tree):
    if part == tree:
        return True
    children = tree if isinstance(tree, list) else tree.values() if isinstance(tree, dict) else ()
    return any(holds(part, child) for child in children)


def faults_of(truth, value):
    got = encoded(value)
    if "holds" in truth:
        return [] if holds(truth["holds"], got) else ["%.200s is not in %.300s" % (truth["holds"], got)]
    return [] if is_sorted_alike(truth["value"], got) else ["%.300s instead of %.300s" % (got, truth["value"])]


def check(item):
    path, cases = item
    name = re.match(r"(.*)\.p\d\.pkl", path.name).group(1)
    result = {"label": "%s/%s" % (path.parent.name, path.name), "group": path.parent.name, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "out.pt")
        status, message = oracle.convert(path, out)
        if status != 0:
            return dict(result, failures=["exit %s: %s" % (status, message)])
        value = oracle.load_safely(out)
        wanted = {name: cases[name]} if name in cases else cases
        if name in cases:
            value = {name: value}
        elif set(value) != {n for n in cases if cases[n]["least"] <= int(path.name[-5])}:
            result["failures"].append("not the values that were written")
        for name, truth in wanted.items():
            if name in value:
                result["failures"] += ["%s: %s" % (name, fault) for fault in faults_of(truth, value[name])]
    return result


def items_in(folder):
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    return [(path, cases) for path in sorted(folder.glob("*.pkl"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", nargs="*", default=None, help="interpreters that write all of their values anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folders = sorted(path.parent for path in FOLDER.glob("*/expected.json"))
        for i, python in enumerate([] if options.pythons is None else [sys.executable] + options.pythons):
            folder = pathlib.Path(scratch, "%d" % i)
            subprocess.run([python, str(GENERATOR), str(folder)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            folders.append(folder)
        items = [item for folder in folders for item in items_in(folder)]
        return oracle.report(oracle.run_checks(check, items))


if __name__ == "__main__":
    sys.exit(main())
