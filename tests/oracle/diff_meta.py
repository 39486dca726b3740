"""Tensors without data (meta) beside others: their types and shapes are compared like those of others, against data they are not comparable, and what
else is in the file is measured all the same."""

import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import ferry_oracle as oracle

import torch

X, Y = torch.ones(2, 2), torch.ones(2, 2) + 1


def meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


# what; before, after; further arguments; exit code; states
CASES = [
    ("the same", {"x": X, "w": meta(3)}, {"x": X, "w": meta(3)}, [], 0, {"x": "equal", "w": "not compared"}),
    ("another type", {"x": X, "w": meta(3)}, {"x": X, "w": meta(3, dtype=torch.float16)}, [], 1, {"x": "equal", "w": "incomparable"}),
    (
        "another type that does not count",
        {"x": X, "w": meta(3)},
        {"x": X, "w": meta(3, dtype=torch.float16)},
        ["--no-check-dtype"],
        0,
        {"x": "equal", "w": "not compared"},
    ),
    ("another shape", {"x": X, "w": meta(3, 4)}, {"x": Y, "w": meta(4, 3)}, [], 1, {"x": "differs", "w": "incomparable"}),
    ("another shape with data", {"x": X, "w": meta(3, 4)}, {"x": Y, "w": torch.ones(4, 3)}, [], 1, {"x": "differs", "w": "incomparable"}),
    ("data on one side", {"x": X, "w": meta(3)}, {"x": Y, "w": torch.ones(3)}, [], 1, {"x": "differs", "w": "incomparable"}),
    ("data on the other", {"x": X, "w": torch.ones(3)}, {"x": X, "w": meta(3)}, [], 1, {"x": "equal", "w": "incomparable"}),
    ("exchanged", {"v": X, "w": meta(2, 2)}, {"v": meta(2, 2), "w": X}, [], 1, {"v": "incomparable", "w": "incomparable"}),
]


def main():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(pathlib.Path(folder, name)) for name in ("a.pt", "b.pt")]
        for what, before, after, arguments, code, states in CASES:
            torch.save(before, paths[0])
            torch.save(after, paths[1])
            done = subprocess.run(
                [oracle.binary(), "diff", *paths, "--json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            if done.returncode != code:
                failures.append("%s: exit %d instead of %d %s" % (what, done.returncode, code, done.stderr[:200]))
                continue
            found = {row["name"]: row["state"] for row in json.loads(done.stdout)["tensors"]}
            if found != states:
                failures.append("%s: %s" % (what, found))
    for failure in failures:
        print("FAIL", failure)
    print("%d cases, %d failures" % (len(CASES), len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
