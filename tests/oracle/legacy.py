"""`convert --to legacy`: the bytes are those that real PyTorch 1.4.0 and 1.1.0 loaded (fixtures/legacy/EVIDENCE.json, made by
fixtures/write_legacy.py), and what they loaded is what PyTorch 2.x loads from the source: types, shapes, strides, shared memory, every
element, every plain value.

    python legacy.py
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import ferry_oracle as oracle

FOLDER = oracle.FIXTURES / "legacy"
sys.path.insert(0, str(oracle.FIXTURES))


def expected(path, values):
    """What the old PyTorch should have: that of 2.x, but for what the conversion says it changes."""
    import torch
    import write_legacy
    found = {}
    write_legacy.walk(torch.load(path, weights_only=True), "", found, {})
    steps = {k for k in found if k.startswith("/optimizer/state/") and k.endswith("/step")}
    for key in steps:
        found[key] = values[key] if values[key] == "3" else found[key]     # the tensor 3.0 is the integer 3
    return found


def memory_groups(values):
    groups = {}
    for path, value in values.items():
        if isinstance(value, dict) and value["memory"] is not None:
            groups.setdefault(value["memory"], []).append(path)
    return sorted(groups.values())


def without_places(value):
    """Storages lose the bytes that nobody refers to, so offsets and addresses say nothing."""
    return {k: v for k, v in value.items() if k not in ("memory", "offset")} if isinstance(value, dict) else value


def main():
    evidence, problems, rows = json.loads((FOLDER / "EVIDENCE.json").read_text(encoding="utf-8")), [], []
    for name, record in evidence.items():
        source = FOLDER / (name + ".pt")
        with tempfile.TemporaryDirectory() as folder:
            target = pathlib.Path(folder, name + ".pth")
            status, message = oracle.convert(source, target, "--to", "legacy")
            if status != 0:
                problems.append("%s: exit %s: %s" % (name, status, message))
                continue
            digest = hashlib.sha256(target.read_bytes()).hexdigest()
            if digest != record["sha256"]:
                problems.append("%s: convert writes other bytes than those that old PyTorch loaded" % name)
            same = subprocess.run([oracle.binary(), "diff", str(source), str(target)], stdout=subprocess.PIPE)
            if same.returncode != 0:
                problems.append("%s: diff of source and target: exit %d" % (name, same.returncode))
        for loaded in record["loaded"]:
            if "refuses" in loaded:
                rows.append("%-10s %-14s refuses: %s" % (name, loaded["torch"], loaded["refuses"][:60]))
                if name != "newer" or loaded["torch"] != "1.1.0":
                    problems.append("%s: %s refuses it" % (name, loaded["torch"]))
                continue
            values = loaded["values"]
            wanted = expected(source, values)
            rows.append("%-10s %-14s %d values, %d of them tensors" % (name, loaded["torch"], len(values),
                                                                    sum(isinstance(v, dict) for v in values.values())))
            for path in sorted(set(values) | set(wanted)):
                if without_places(values.get(path)) != without_places(wanted.get(path)):
                    problems.append("%s, %s, %s: %s instead of %s" % (name, loaded["torch"], path, values.get(path), wanted.get(path)))
            # Addresses of views differ; names of one address stay names of one address.
            shared = [g for g in memory_groups(values) if len(g) > 1]
            if shared != [g for g in memory_groups(wanted) if len(g) > 1]:
                problems.append("%s, %s: other tensors share memory: %s" % (name, loaded["torch"], shared))
    print("\n".join(rows))
    for problem in problems:
        print("FAIL:", problem)
    if len(evidence) != 3 or not rows:
        print("FAIL: there is evidence for %d files" % len(evidence))
    return 1 if problems or len(evidence) != 3 else 0


if __name__ == "__main__":
    sys.exit(main())
