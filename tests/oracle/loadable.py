"""What `inspect` says about torch.load(weights_only=True) is what PyTorch says: for the recorded checkpoints (LOADS-IN-2.13.tsv) and,
by asking it here, for the public ones and fixtures/; the first objection is torch's own, and so is the answer about mmap=True.
"""
import csv
import json
import re
import subprocess
import sys
import warnings

import ferry_oracle as oracle


class File:
    def __init__(self, path, group):
        self.path, self.group, self.label = path, group, "%s/%s" % (group, path.name)


def files():
    corpus = oracle.SHARED / "corpus" / "written-by-torch"
    for case in oracle.cases():
        yield File(case.load().file, case.group)
    manifest = oracle.SHARED / "corpus" / "from-public-projects" / "MANIFEST.tsv"
    if manifest.exists():
        with open(manifest, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row["format"] in ("torch-zip", "legacy-stream"):
                    yield File(manifest.parent / row["file"], "public " + row["format"])
    table = corpus / "LOADS-IN-2.13.tsv"
    if table.exists():
        with open(table, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
                file = File(corpus / row["writer"] / row["file"], "LOADS-IN-2.13.tsv")
                file.recorded = row["wo_true"] == "OK"
                yield file


def ask_torch(path, **options):
    """None when it loads, else the message."""
    import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(path, weights_only=True, map_location="cpu", **options)
    except Exception as error:
        return "%s: %s" % (type(error).__name__, " ".join(str(error).split()))
    return None


def maps(path):
    """Whether mmap=True gives the same values: PyTorch takes compressed bytes for numbers without a word."""
    import torch
    if ask_torch(path, mmap=True) is not None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapped, loaded = (torch.load(path, weights_only=True, map_location="cpu", mmap=m) for m in (True, False))
        return not oracle.differences(loaded, mapped)


def subject_of(message):
    found = re.search(r"Unsupported global: GLOBAL (\S+)", message)
    if found:
        return found.group(1).replace("builtins.", "")
    found = re.search(r"Unsupported operand (\d+)", message)
    return "operand " + found.group(1) if found else None


def check(file):
    result = {"label": file.label, "group": file.group, "failures": []}
    done = subprocess.run([oracle.binary(), "inspect", "--json", str(file.path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        result["skipped"] = True
        return result
    said = json.loads(done.stdout)["weights_only"]
    if hasattr(file, "recorded"):
        if said["loads"] != file.recorded:
            result["failures"].append("said %s, recorded %s" % (said["loads"], file.recorded))
        return result
    message = ask_torch(file.path)
    if said["loads"] != (message is None):
        result["failures"].append("said %s, torch: %s" % (said["loads"], message or "loads"))
    elif message is not None and subject_of(message):
        first = said["objections"][0]
        subject = "operand " + re.search(r"\d+", first["what"]).group() if first["obstacle"] == "instruction" else first["subject"]
        if subject.replace("builtins.", "") != subject_of(message):
            result["failures"].append("first objection %s, torch: %s" % (subject, message[:160]))
    elif message is None and said["mmap"] != maps(file.path):
        result["failures"].append("said mmap=%s, torch: %s" % (said["mmap"], ask_torch(file.path, mmap=True) or "maps"))
    return result


if __name__ == "__main__":
    sys.exit(oracle.report(oracle.run_checks(check, list(files()))))
