"""Checkpoints that other people wrote, every one of them: what holds a readable checkpoint converts and loads with weights_only=True and
mmap=True; a file that calls a function of somebody's library is refused; what is none ends in a diagnosis. Where PyTorch 2.x reads the
original itself the values are equal, bit for bit; whole modules are loaded for that with stand-ins for the classes that nobody has.

    python public_projects.py [NAME-PATTERN]
"""
import collections
import csv
import fnmatch
import pathlib
import sys
import tempfile

import ferry_oracle as oracle

FOLDER = oracle.SHARED / "corpus" / "from-public-projects"
SECONDS = 60
CONVERTS, REFUSED, DIAGNOSED = "converts and loads", "refused", "diagnosed"
OUTCOMES = (CONVERTS, REFUSED, DIAGNOSED, "does not load", "crash or hang")

# Traits of files that call what only somebody's library has; by the rule they are refused.
CALLS = {"pandas"}


class Public:
    def __init__(self, row):
        self.path, self.format, self.label = FOLDER / row["file"], row["format"], row["file"]
        self.traits = set(row["traits"].split(";"))
        self.group = self.format + (" whole module" if "whole-module" in self.traits else "")

    def wanted(self):
        """What must come of it."""
        if self.format == "unknown":
            return DIAGNOSED
        if self.traits & CALLS:
            return REFUSED
        return CONVERTS


def check(public):
    result = {"label": public.label, "group": public.group, "failures": [], "outcome": CONVERTS, "compared": False, "note": ""}
    with tempfile.TemporaryDirectory() as folder:
        clean, keep = pathlib.Path(folder, "clean.pth"), pathlib.Path(folder, "keep.pth")
        for out, layout in ((clean, "clean"), (keep, "keep")):
            convert(public, out, layout, result)
        if keep.exists():
            result["failures"] += compare(public, oracle.load_safely(keep), result)
    if result["outcome"] != public.wanted():
        result["failures"].insert(0, "is %s, should be %s: %s" % (result["outcome"], public.wanted(), result["note"]))
    return result


def convert(public, out, layout, result):
    status, message = oracle.convert(public.path, out, "--layout", layout, timeout=SECONDS)
    if status not in (0, 2, 3):
        result["failures"].append("layout %s: exit %s: %s" % (layout, status, message))
        result["outcome"] = "crash or hang"
    elif status:
        result["outcome"], result["note"] = (REFUSED if status == 3 else DIAGNOSED), message
        if out.exists() or not message:
            result["failures"].append("layout %s: exit %d, and %s" % (layout, status, "a file" if out.exists() else "no message"))
    else:
        try:
            oracle.load_safely(out)
        except Exception as error:
            result["failures"].append("layout %s: does not load: %s" % (layout, " ".join(str(error).split())[:200]))
            result["outcome"] = "does not load"


def compare(public, got, result):
    """Differences from what PyTorch reads from the original, where it reads it."""
    import torch
    try:
        original = torch.load(public.path, weights_only=True, map_location="cpu")
    except Exception:
        original = None
    if original is not None:
        result["compared"] = True
        return oracle.differences(original, got)
    if "whole-module" not in public.traits:
        return []
    failures, pairs = [], []
    find_pairs(load_with_stand_ins(public.path), got, "", pairs)
    for path, expected, converted in pairs:
        failures += ["%s: %s" % (path or "(root)", line) for line in oracle.differences(expected, converted)]
    result["compared"] = bool(pairs)
    return failures if pairs else ["holds nothing to compare with"]


def load_with_stand_ins(path):
    """What PyTorch loads of a whole module when every class that is not here is an nn.Module without a line of code. The files are known,
    and name nothing that does harm."""
    import pickle
    import types
    import warnings

    import torch

    class StandIn(torch.nn.Module):
        def __new__(cls, *args, **kwargs):
            made = super().__new__(cls)
            torch.nn.Module.__init__(made)
            return made

        def __init__(self, *args, **kwargs):
            pass

        def __setstate__(self, state):
            self.__dict__.update(state if isinstance(state, dict) else {"state": state})

        def __setitem__(self, key, value):           # of dicts: what they hold is not looked at
            pass

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            try:
                return super().find_class(module, name)
            except (ImportError, AttributeError):
                return type(name, (StandIn,), {"__module__": module})

    warnings.simplefilter("ignore")              # about the sources of old classes
    tools = types.SimpleNamespace(Unpickler=Unpickler, load=lambda f, **kwargs: Unpickler(f, **kwargs).load(), __name__="pickle")
    return torch.load(path, weights_only=False, map_location="cpu", pickle_module=tools)


def find_pairs(original, got, path, found):
    """Every state_dict() of a module and every other tensor, and what became of it, through dicts, lists and tuples."""
    import torch
    if isinstance(original, torch.nn.Module) and (original._parameters or original._modules or original._buffers):
        found.append((path, original.state_dict(keep_vars=True), got))
    elif isinstance(original, torch.Tensor):
        found.append((path, original, got))
    elif isinstance(original, dict) and isinstance(got, dict):
        for key in original:
            if key in got:
                find_pairs(original[key], got[key], "%s.%s" % (path, key), found)
    elif isinstance(original, (list, tuple)) and isinstance(got, (list, tuple)):
        for i, (a, b) in enumerate(zip(original, got)):
            find_pairs(a, b, "%s.%d" % (path, i), found)


def main():
    manifest = FOLDER / "MANIFEST.tsv"
    if not manifest.exists():
        print("no public checkpoints here\n\n0 passed, 0 failed, 1 skipped")
        return 0
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    with open(manifest, newline="", encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE) if fnmatch.fnmatch(row["file"], pattern)]
    results = oracle.run_checks(check, [Public(row) for row in rows])
    for r in results:
        for failure in r["failures"][:1]:
            print("FAIL %s: %s" % (r["label"], failure))
    for r in results:
        if r.get("note"):
            print("%-8s %s: %s" % (r["outcome"], r["label"], r["note"][:200]))

    columns = ("files",) + OUTCOMES + ("compared",)
    table = collections.OrderedDict()
    for r in results:
        more = [c for c in ("compared",) if r.get(c)]
        table.setdefault(r["group"], collections.Counter()).update([r.get("outcome", "crash or hang"), "files"] + more)
    print("\n%-28s" % "format" + "".join("%20s" % c for c in columns))
    for group, counts in sorted(table.items()):
        print("%-28s" % group + "".join("%20d" % counts[c] for c in columns))
    failed = sum(bool(r["failures"]) for r in results)
    print("\n%d passed, %d failed" % (len(results) - failed, failed))
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
