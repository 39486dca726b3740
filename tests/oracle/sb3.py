"""Archives of stable-baselines3: what convert gives against the members as Python's zipfile, json and torch.load read them; the same archives
deflated; a checkpoint alone in a zip archive, and several.
"""
import json
import pathlib
import sys
import tempfile
import zipfile

import ferry_oracle as oracle


def without_pickles(value):
    """The JSON of an archive without what cloudpickle wrote."""
    if isinstance(value, dict):
        return {k: without_pickles(v) for k, v in value.items() if k != ":serialized:"}
    return [without_pickles(v) for v in value] if isinstance(value, list) else value


def members(path):
    """What the archive holds, under the names that it gets."""
    import torch
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with tempfile.TemporaryDirectory() as folder:
                if name.endswith(".pth"):
                    found[name[:-4]] = torch.load(archive.extract(name, folder), weights_only=True, map_location="cpu")
                elif name == "data":
                    found[name] = without_pickles(json.loads(archive.read(name)))
                else:
                    found["system_info" if name == "system_info.txt" else name] = archive.read(name).decode()
    return found


def converted(path, folder, *options):
    out = pathlib.Path(folder, "out.pt")
    status, message = oracle.convert(path, out, "--layout", "keep", "--force", *options)
    return (status, message, oracle.load_safely(out) if status == 0 else None)


def check_archive(path, folder):
    status, message, got = converted(path, folder)
    if status != 0:
        return ["exit %s: %s" % (status, message)]
    want = members(path)
    faults = [] if list(got) == list(want) else ["keys %s instead of %s" % (list(got), list(want))]
    return faults + oracle.differences(want, got)


def deflated(path, folder):
    out = pathlib.Path(folder, "deflated.zip")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
    return out


def zipped(folder, state, names, legacy):
    import torch
    out = pathlib.Path(folder, "model.zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if legacy else zipfile.ZIP_STORED) as archive:
        archive.writestr("README.txt", "a model")
        for name in names:
            torch.save(state, pathlib.Path(folder, "m.pth"), _use_new_zipfile_serialization=not legacy)
            archive.write(pathlib.Path(folder, "m.pth"), name)
    return out


def check_zipped(folder):
    import torch
    state = {"w": torch.randn(300, 7), "n": 3}
    faults = []
    for legacy in (False, True):
        status, message, got = converted(zipped(folder, state, ["model/m.pth"], legacy), folder)
        faults += ["a sole member: exit %s: %s" % (status, message)] if status else oracle.differences(state, got)
    status, message, _ = converted(zipped(folder, state, ["a.pth", "b.pth"], False), folder)
    if status != 2 or "a.pth" not in message or "b.pth" not in message:
        faults.append("two members: exit %s: %s" % (status, message))
    return faults


def check(path):
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            return {"label": "zipped", "group": "a checkpoint in a zip", "failures": check_zipped(folder)}
        faults = check_archive(path, folder) + ["deflated: " + fault for fault in check_archive(deflated(path, folder), folder)]
        return {"label": path.name, "group": "stable-baselines3", "failures": faults}


def main():
    found = sorted((oracle.FIXTURES / "sb3").glob("*.zip"))
    for path in sorted((oracle.SHARED / "corpus" / "from-public-projects").glob("DLR-RM*/*/*/*.zip")):
        found += [path] if path.is_file() else []
    return oracle.report(oracle.run_checks(check, found + [None]))


if __name__ == "__main__":
    sys.exit(main())
