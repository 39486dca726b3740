"""Checkpoints that other people wrote: no crash, no hang; of the zip and legacy-stream files without a whole module at least 95 % convert
and load with weights_only=True. Where PyTorch reads the original that way too, `--layout keep` must give the same values.
"""
import collections
import csv
import pathlib
import sys
import tempfile

import ferry_oracle as oracle

FOLDER = oracle.SHARED / "corpus" / "from-public-projects"
COUNTED = ("torch-zip", "legacy-stream")
SHARE = 0.95
SECONDS = 60


class Public:
    def __init__(self, row):
        self.path, self.format, self.label = FOLDER / row["file"], row["format"], row["file"]
        self.whole_module = "whole-module" in row["traits"].split(";")
        self.group = self.format + (" whole module" if self.whole_module else "")


def check(public):
    import torch
    result = {"label": public.label, "group": public.group, "failures": [], "outcome": "converts and loads", "compared": False, "note": ""}
    with tempfile.TemporaryDirectory() as folder:
        clean, keep = pathlib.Path(folder, "clean.pth"), pathlib.Path(folder, "keep.pth")
        for out, layout in ((clean, "clean"), (keep, "keep")):
            status, message = oracle.convert(public.path, out, "--layout", layout, timeout=SECONDS)
            if status is None or status < 0 or status not in (0, 2, 3):
                result["failures"].append("layout %s: %s" % (layout, "time-out" if status is None else "exit %d: %s" % (status, message)))
                result["outcome"] = "crash or hang"
            elif status:
                result["outcome"], result["note"] = ("refused" if status == 3 else "error"), message
                if out.exists() or not message:
                    result["failures"].append("layout %s: exit %d, and %s" % (layout, status, "a file" if out.exists() else "no message"))
            else:
                try:
                    oracle.load_safely(out)
                except Exception as error:
                    result["failures"].append("layout %s: does not load: %s" % (layout, " ".join(str(error).split())[:200]))
                    result["outcome"] = "does not load"
        if keep.exists():
            try:
                original = torch.load(public.path, weights_only=True, map_location="cpu")
            except Exception:
                original = None
            if original is not None:
                result["compared"] = True
                result["failures"] += oracle.differences(original, oracle.load_safely(keep))
    return result


def main():
    manifest = FOLDER / "MANIFEST.tsv"
    if not manifest.exists():
        print("no public checkpoints here\n\n0 passed, 0 failed, 1 skipped")
        return 0
    with open(manifest, newline="", encoding="utf-8") as f:
        found = [Public(row) for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]
    results = oracle.run_checks(check, found)
    for r in results:
        for failure in r["failures"][:1]:
            print("FAIL %s: %s" % (r["label"], failure))
    for r in results:
        if r.get("note"):
            print("%-8s %s: %s" % (r["outcome"], r["label"], r["note"][:200]))

    outcomes = ("converts and loads", "does not load", "error", "refused", "crash or hang")
    table = collections.OrderedDict()
    for r in results:
        table.setdefault(r["group"], collections.Counter()).update([r.get("outcome", "oracle"), "files"] + ["compared"] * r.get("compared", 0))
    print("\n%-28s" % "format" + "".join("%20s" % o for o in ("files",) + outcomes + ("compared",)))
    for group, counts in sorted(table.items()):
        print("%-28s" % group + "".join("%20d" % counts[o] for o in ("files",) + outcomes + ("compared",)))

    counted = [r for r in results if r["group"] in COUNTED]
    good = sum(r.get("outcome") == "converts and loads" for r in counted)
    print("\n%d of %d zip and legacy-stream files without a whole module convert and load (%.1f %%, at least %.0f %% wanted)"
          % (good, len(counted), 100 * good / max(1, len(counted)), 100 * SHARE))
    failed = sum(bool(r["failures"]) for r in results) + (good < SHARE * len(counted))
    print("\n%d passed, %d failed" % (len(results) - sum(bool(r["failures"]) for r in results), failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
