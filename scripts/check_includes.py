#!/usr/bin/env python3
"""Check who includes whom: the architecture as a table.

Usage: scripts/check_includes.py [ROOT]

Every line that breaks a rule is printed as file:line: reason; the exit status is 1 if there is any.
The rules: everything may include src/core, siblings do not include each other except as the table says,
only programs see more, and a library of others stays in the folder that owns it.
"""
import os
import re
import sys

ALL = object()

# Folder -> (CMake target, folders it may include besides itself and src/core). The longest matching folder counts, and
# a folder in NOT_RECURSIVE covers only the files that lie in it.
MODULES = {
    "src/core": ("ferry_core", []),
    "src/parallel": ("ferry_parallel", []),
    "src/hash": ("ferry_hash", []),
    "src/report": ("ferry_report", ["validators/policy"]),
    "src/convert": ("ferry_convert", []),
    "src/config": ("ferry_config", ["validators/policy", "src/convert"]),
    "formats": (
        "ferry_formats",
        ["formats/torch", "formats/pickle", "formats/python", "formats/tar", "formats/zip", "formats/safetensors",
         "formats/numpy", "formats/hdf5", "formats/pt2", "formats/sb3", "formats/torchscript",
         "formats/state"],
    ),
    "formats/json": ("ferry_json", []),
    "formats/safetensors": ("ferry_safetensors", ["formats/json"]),
    "formats/numpy": ("ferry_numpy", ["formats/zip", "formats/torch", "formats/pickle", "formats/python"]),
    "formats/hdf5": ("ferry_hdf5", ["formats/json"]),
    "formats/state": ("ferry_state", ["formats/json"]),
    "formats/sb3": ("ferry_sb3", ["formats/torch", "formats/pickle", "formats/python", "formats/zip", "formats/json"]),
    "formats/golden": ("ferry_golden", ["formats/numpy", "formats/hdf5", "formats/zip", "formats/json"]),
    "formats/zip": ("ferry_zip", []),
    "formats/copy": ("ferry_copy", ["formats/zip"]),
    "formats/pt2": ("ferry_pt2", ["formats/json", "formats/zip"]),
    "formats/pickle": ("ferry_pickle", []),
    "formats/python": ("ferry_python", []),
    "formats/tar": ("ferry_tar", []),
    "formats/torch": ("ferry_torch", ["formats/copy", "formats/pickle", "formats/python", "formats/tar", "formats/zip"]),
    "formats/torchscript": (
        "ferry_torchscript", ["formats/torch", "formats/pickle", "formats/python", "formats/zip", "formats/json"],
    ),
    "validators/structure": ("ferry_structure", []),
    "validators/loadable": ("ferry_loadable", []),
    "validators/policy": ("ferry_policy", []),
    "validators/numeric": ("ferry_numeric", []),
    "validators/replay": (
        None,
        ["formats", "formats/copy", "formats/pt2", "formats/golden", "formats/torch", "formats/zip", "formats/json",
         "src/convert", "src/hash"],
    ),
    "validators/forward": ("ferry_forward", []),
    "src/cli/doctor": ("ferry_doctor", ["src/config", "src/report", "formats/json"]),
    "src/cli": (None, ALL),
    "tests": (None, ALL),
}
NOT_RECURSIVE = {"formats"}

# Library of others -> (pattern of its headers, folders that may include it). Tests may include any of them: that is
# how another implementation becomes the judge of ours.
LIBRARIES = {
    "CLI11": (r"CLI/", ["src/cli"]),
    "Eigen": (r"(unsupported/)?Eigen/", ["validators/numeric", "validators/replay"]),
    "zlib": (r"(zlib|zconf)\.h$", ["formats/zip"]),
    "libdeflate": (r"libdeflate\.h$", ["formats/zip"]),
    "ISA-L": (r"isa-l(\.h$|/)", ["formats/zip"]),
    "xxHash": (r"(xxhash|xxh3)\.h$", ["src/hash"]),
    "OpenSSL": (r"openssl/", ["src/hash"]),
    "LibTorch": (r"(torch|ATen|c10|caffe2)/", ["validators/replay"]),
    "HDF5": (r"(hdf5|H5[A-Za-z]*)\.h$", ["formats/hdf5"]),
    "nlohmann-json": (r"nlohmann/", ["formats/json"]),
    "toml++": (r"toml\+\+/|toml\.hpp$", ["src/config"]),
    "GoogleTest": (r"(gtest|gmock)/", []),
    "rapidcheck": (r"rapidcheck(\.h$|/)", []),
}

# The standard library, POSIX, Linux and the compiler's intrinsics are everybody's.
STANDARD = re.compile(r"[a-z_0-9]+$")
SYSTEM = re.compile(
    r"(sys|linux|asm|netinet|arpa)/|"
    r"(dirent|dlfcn|endian|errno|fcntl|fnmatch|glob|limits|malloc|poll|pthread|sched|signal|spawn|stdint|stdio|"
    r"stdlib|string|termios|time|unistd|cpuid|immintrin|x86intrin|arm_neon)\.h$"
)

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def module_of(path):
    """The module whose folder holds path, or None."""
    folder = os.path.dirname(path)
    found = folder
    while found:
        if found in MODULES and (found == folder or found not in NOT_RECURSIVE):
            return found
        found = os.path.dirname(found)
    return None


def complaint(root, path, quote, name):
    """Why the file path must not include name, or None."""
    here = module_of(path)
    if here is None:
        return "folder %s is not in the table of scripts/check_includes.py" % os.path.dirname(path)
    if ".." in name.split("/"):
        return 'write "%s" from the root of the repository, without ..' % name
    if quote == '"' and os.path.isfile(os.path.join(root, name)):
        there = module_of(name)
        may = MODULES[here][1]
        if there in (here, "src/core") or may is ALL or there in may:
            return None
        return "%s may not include %s" % (here, name)
    if quote == '"' and os.path.isfile(os.path.join(root, os.path.dirname(path), name)):
        return 'write "%s/%s" from the root of the repository' % (os.path.dirname(path), name)
    for library, (pattern, owners) in LIBRARIES.items():
        if re.match(pattern, name):
            if here == "tests" or any((path + "/").startswith(owner + "/") for owner in owners):
                return None
            return "%s belongs to %s" % (library, ", ".join(owners) or "tests")
    if quote == '"':
        return '"%s" is no file of this repository' % name
    if STANDARD.match(name) or SYSTEM.match(name):
        return None
    return "<%s> belongs to no library in the table of scripts/check_includes.py" % name


def sources(root):
    for top in ("src", "formats", "validators", "tests"):
        for folder, folders, files in os.walk(os.path.join(root, top)):
            folders.sort()
            for file in sorted(files):
                if file.endswith((".h", ".cpp", ".inc")):
                    yield os.path.relpath(os.path.join(folder, file), root)


def check_sources(root):
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                match = INCLUDE.match(line)
                why = match and complaint(root, path, *match.groups())
                if why:
                    yield "%s:%d: %s" % (path, number, why)


def check_cmake(root):
    """The build enforces the same table with include paths; the two must not drift apart."""
    targets = {target: folder for folder, (target, _) in MODULES.items() if target}
    seen = set()
    with open(os.path.join(root, "CMakeLists.txt"), encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = re.match(r"ferry_module\((\w+)\s+(\S+?)\s*(?:PLAIN\s*)?(?:ALSO\s+[^)]*?)?(?:PRIVATE\s+([^)]*))?\)", line)
            if not match:
                continue
            target, folder, uses = match.groups()
            seen.add(folder)
            allowed = MODULES.get(folder, (None, []))
            linked = {targets[use] for use in (uses or "").split() if use in targets}
            if allowed[0] != target or linked != set(allowed[1]):
                yield "CMakeLists.txt:%d: %s differs from the table of scripts/check_includes.py" % (number, target)
    for target, folder in targets.items():
        if folder not in seen:
            yield "CMakeLists.txt:1: %s is in the table of scripts/check_includes.py but not here" % target


def main():
    if set(sys.argv[1:]) & {"-h", "--help"}:
        print(__doc__.strip())
        return 0
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    root = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else here
    complaints = list(check_cmake(root)) + list(check_sources(root))
    for line in complaints:
        print(line)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
