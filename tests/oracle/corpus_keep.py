"""Every recorded checkpoint through `convert --layout keep`: PyTorch 2.x loads it with weights_only=True and mmap=True, and tensors and
plain values are what the old process had, bit for bit. Two runs give the same bytes; what was converted converts again.

    python corpus_keep.py [NAME-PATTERN]
"""
import pathlib
import sys
import tempfile
import zlib

import ferry_oracle as oracle


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        out, twin, again = (pathlib.Path(folder, n) for n in ("a.pth", "b.pth", "c.pth"))
        status, message = oracle.convert(case.file, out, "--layout", "keep")
        if status != 0:
            result["failures"] = ["exit %s: %s" % (status, message)]
            return result
        try:
            loaded = oracle.load_safely(out)
        except Exception as error:
            result["failures"] = ["does not load: " + " ".join(str(error).split())[:200]]
            return result
        result["failures"] += oracle.Comparison(case).run(loaded)

        oracle.convert(case.file, twin, "--layout", "keep")
        if not twin.exists() or out.read_bytes() != twin.read_bytes():
            result["failures"].append("two runs, two files")
        if zlib.crc32(case.name.encode()) % 4 == 0:          # a sample, the same one every time
            status, message = oracle.convert(out, again, "--layout", "keep")
            if status != 0:
                result["failures"].append("converted again: exit %s: %s" % (status, message))
            else:
                result["failures"] += ["converted again: " + line for line in oracle.Comparison(case).run(oracle.load_safely(again))]
    return result


if __name__ == "__main__":
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    sys.exit(oracle.report(oracle.run_checks(check, oracle.cases(pattern))))
