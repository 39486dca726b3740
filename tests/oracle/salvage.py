"""What `convert --salvage` keeps of recorded checkpoints that are cut, torn or damaged: PyTorch 2.x loads it with weights_only=True, every
tensor in it is the one of the whole file, bit for bit, at the same path; every other one is named as lost; and the exit status says which.

    python salvage.py [--all] [NAME-PATTERN]

Every eighth checkpoint is damaged, and all that were put together by hand; with --all every one.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import zlib

import ferry_oracle as oracle

CUTS = (0.35, 0.7, 0.95, 0.999)


def damages(data, name):
    """(label, bytes, whether a lost byte may go unseen): the same ones in every run."""
    dice = random.Random(zlib.crc32(name.encode()))
    for share in CUTS:
        yield "cut at %g" % share, data[:int(len(data) * share)]
    at = dice.randrange(len(data) // 3, len(data))
    if data[:2] == b"PK":                                    # the others have no checksums: a flipped bit goes unseen
        yield "bit at %d" % at, data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]
        yield "hole at %d" % at, data[:at] + bytes(min(300, len(data) - at)) + data[at + 300:]
        yield "gap at %d" % at, data[:at] + data[at + 40:]


def tensors_of(value):
    """By path, which is what the report writes: a value that several parents hold may have several."""
    import torch
    found, seen, todo = {}, {}, [("", value)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, torch.Tensor):
            found[path] = value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen[id(value)] = value                         # kept, so that no other value gets its id
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            todo += reversed([((path + "." if path else "") + text_of(key), item) for key, item in pairs])
    return found


def text_of(key):
    return "(%s)" % ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def same(a, b):
    return not oracle.differences(a.detach(), b.detach())


def salvage(source, target):
    done = subprocess.run([oracle.binary(), "convert", "--salvage", "--json", "--no-sync", "--layout", "keep", str(source), "-o", str(target)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return done.returncode, json.loads(done.stdout or "{}")


def judge(label, damaged, whole, folder):
    source, target = pathlib.Path(folder, "damaged.pth"), pathlib.Path(folder, "out.pth")
    source.write_bytes(damaged)
    target.unlink(missing_ok=True)
    status, report = salvage(source, target)
    if status not in (0, 1):
        return "" if status == 2 and not target.exists() else "%s: exit %s" % (label, status)
    left = tensors_of(oracle.load_safely(target))
    lost = {c["path"] for c in report["files"][0]["changes"] if c["code"] in ("TF550", "TF551")}
    if (status == 1) != bool(lost):
        return "%s: exit %d with %d losses" % (label, status, len(lost))
    for path, tensor in left.items():
        if path not in whole or not same(tensor, whole[path]):
            return "%s: %s is another tensor" % (label, path)
    silent = [p for p in whole if p not in left and p not in lost]
    return "%s: %s is gone and not named" % (label, silent[0]) if silent else ""


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": []}
    data = case.file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder, "plain.pth")
        status, report = salvage(case.file, plain)
        if status != 0 or len(data) > 1 << 20:
            result["skipped"] = True                        # a reader that comes later, a refusal, or too much to do it often
            return result
        whole = tensors_of(oracle.load_safely(plain))
        for label, damaged in damages(data, case.name):
            failure = judge(label, damaged, whole, folder)
            if failure:
                result["failures"].append(failure)
    return result


if __name__ == "__main__":
    patterns = [a for a in sys.argv[1:] if a != "--all"]
    every = "--all" in sys.argv[1:]
    cases = [c for c in oracle.cases(*patterns)
             if every or zlib.crc32(c.label.encode()) % 8 == 0 or c.group in ("fixtures/tar", "fixtures/hand-made")]
    sys.exit(oracle.report(oracle.run_checks(check, cases)))
