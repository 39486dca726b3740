"""Who wrote it: for every recorded checkpoint that `inspect` opens, the releases it names hold the one that really wrote the file, and
the likely ones too, except where the old container was asked for.

    python fingerprint.py [NAME-PATTERN]
"""
import json
import subprocess
import sys

import ferry_oracle as oracle

# Legacy streams that newer releases were asked for, and states that were saved through a stream.
UNUSUAL = ("_legacy", "form_legacy_proto2", "form_legacy_proto4")


def number(text):
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def holds(writer, prefix, release):
    first, last = writer[prefix + "from"], writer[prefix + "to"]
    return number(first) <= release and (last is None or release <= number(last))


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": [], "range": None}
    done = subprocess.run([oracle.binary(), "inspect", "--json", str(case.file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    document = json.loads(done.stdout)
    if done.returncode != 0:
        result["skipped"] = True            # a reader that comes later, or a refusal: other tests look at those
        return result
    writer, truth = document["writer"], case.truth["writer"]
    release = number(truth["torch"])
    if case.truth.get("save", {}).get("container") == "tar":
        release = (0, 1)                    # put together by a later release in the form of 0.1.x
    result["range"] = writer["pytorch"]
    if not holds(writer, "", release):
        result["failures"].append("%s wrote it, not %s: %s" % (truth["torch"], writer["pytorch"], "; ".join(writer["evidence"])))
    elif not case.name.endswith(UNUSUAL) and not holds(writer, "likely_", release):
        result["failures"].append("%s wrote it, likely are %s to %s: %s"
                                  % (truth["torch"], writer["likely_from"], writer["likely_to"], "; ".join(writer["evidence"])))
    if writer["python"] and writer["python"] != truth["python"][0]:
        result["failures"].append("Python %s wrote it, not %s" % (truth["python"], writer["python"]))
    return result


if __name__ == "__main__":
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    results = oracle.run_checks(check, [c for c in oracle.cases(pattern) if c.group != "fixtures/hand-made"])  # no release wrote those
    ranges = {}
    for r in results:
        if r["range"]:
            ranges.setdefault(r["group"], {}).setdefault(r["range"], []).append(r["label"])
    for group in ranges:
        print("%-24s %s" % (group, ", ".join("%s: %d" % (k, len(v)) for k, v in sorted(ranges[group].items()))))
    sys.exit(oracle.report(results))
