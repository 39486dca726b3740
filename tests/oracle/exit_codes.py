"""Broken files end with exit 2, dangerous ones with exit 3, each with a message and without an output."""
import csv
import pathlib
import sys
import tempfile

import ferry_oracle as oracle

FOLDER = oracle.FIXTURES / "hand-made"


def check(row):
    result = {"label": row["file"], "group": "exit " + row["exit"], "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "out.pth")
        status, message = oracle.convert(FOLDER / row["file"], out)
        if status != int(row["exit"]):
            result["failures"].append("exit %s (%s): %s" % (status, row["why"], message))
        if list(pathlib.Path(folder).iterdir()):
            result["failures"].append("something was written")
        if not message:
            result["failures"].append("no message")
    return result


if __name__ == "__main__":
    with open(FOLDER / "EXPECTED-EXIT.tsv", newline="", encoding="utf-8") as f:
        sys.exit(oracle.report(oracle.run_checks(check, list(csv.DictReader(f, delimiter="\t")))))
