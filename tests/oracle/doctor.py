"""`doctor` against environments whose truth is known: a matrix of made ones (every row of the table of PyTorch releases with versions in,
below and above each range; CPU, CUDA and ROCm builds; broken metadata; several layouts), the versions of `packaging`, and the environment
that runs this test, which PyTorch itself describes.
"""
import importlib.util
import itertools
import json
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

import ferry_oracle as oracle

# The table as people write it, apart from the one that torchferry has.
ROWS = {
    ("2.0", "2.1", "2.2"): {"transformers": ("4.35.0", "4.45.0"), "diffusers": ("0.25.0", "0.30.0"), "accelerate": ("0.25.0", "0.30.0"),
                            "huggingface_hub": ("0.20.0", "0.25.0")},
    ("2.3",): {"transformers": ("4.41.0", "4.50.0"), "diffusers": ("0.28.0", "0.35.0"), "accelerate": ("0.29.0", "0.35.0"),
               "huggingface_hub": ("0.23.0", "0.30.0")},
    ("2.4", "2.5", "2.6", "2.7", "2.8", "2.9"): {"transformers": ("4.43.0", None), "diffusers": ("0.29.0", None),
                                                 "accelerate": ("0.30.0", None), "huggingface_hub": ("0.24.0", None)},
    ("2.10", "2.11", "2.13", "3.0"): {"transformers": ("4.45.0", None), "diffusers": ("0.31.0", None), "accelerate": ("0.34.0", None),
                                      "huggingface_hub": ("0.25.0", None)},
}
PACKAGES = ["transformers", "diffusers", "accelerate", "huggingface_hub"]

# What follows the release, the lines of version.py, and what doctor has to say of it.
CPU = ("+cpu", {"cuda": None, "hip": None}, {"build": "cpu", "cuda": None, "rocm": None})
BUILDS = [
    CPU,
    ("", {"cuda": None, "hip": None, "rocm": None, "xpu": None}, {"build": "cpu", "cuda": None, "rocm": None}),
    ("+cu118", {"cuda": "11.8", "hip": None}, {"build": "cuda", "cuda": "11.8", "rocm": None}),
    ("+cu121", {"cuda": "12.1", "hip": None}, {"build": "cuda", "cuda": "12.1", "rocm": None}),
    ("", {"cuda": "12.8", "hip": None, "xpu": None}, {"build": "cuda", "cuda": "12.8", "rocm": None}),
    ("+cu130", {"cuda": "13.0", "hip": None, "rocm": None}, {"build": "cuda", "cuda": "13.0", "rocm": None}),
    ("+rocm5.7", {"cuda": None, "hip": "5.7.31921-d1770ee1b"}, {"build": "rocm", "cuda": None, "rocm": "5.7"}),
    ("+rocm6.0", {"cuda": None, "hip": "6.0.32830-d62f6a171"}, {"build": "rocm", "cuda": None, "rocm": "6.0"}),
    ("+rocm6.2.4", {"cuda": None, "hip": "6.2.41134-65d174c3e"}, {"build": "rocm", "cuda": None, "rocm": "6.2.4"}),
    ("", {"cuda": None, "hip": "6.4.43482-0f2d60242"}, {"build": "rocm", "cuda": None, "rocm": "6.4"}),
    ("+rocm7.0", {"cuda": None, "hip": "7.0.51831-a3e329ad8", "rocm": "7.0.0"}, {"build": "rocm", "cuda": None, "rocm": "7.0.0"}),
    ("+rocm7.1", {"cuda": None, "hip": "7.1.25424"}, {"build": "rocm", "cuda": None, "rocm": "7.1"}),
    ("+xpu", {"cuda": None, "hip": None, "xpu": "20250101"}, {"build": "xpu", "cuda": None, "rocm": None}),
]


def neighbours(version):
    """The patch before a release's first one, and the release candidate of it: neither belongs to it."""
    major, minor, _ = version.split(".")
    return "%s.%d.9" % (major, int(minor) - 1), version + "rc1"


class Root:
    """A file system with one Python 3.11 in /usr, and what is put into it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.add_python("/usr", "3.11")

    def write(self, path, text="", mode=None):
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        if mode:
            file.chmod(mode)
        return self

    def add_python(self, prefix, series):
        self.write("%s/lib/python%s/os.py" % (prefix, series))
        self.write("%s/bin/python%s" % (prefix, series), b"\x7fELF", 0o755)
        link = self.folder / prefix.lstrip("/") / "bin" / "python3"
        if not link.is_symlink():
            link.symlink_to("python" + series)
        return self

    def add_package(self, name, version, site="/usr/lib/python3.11/site-packages", requires=(), egg=False):
        headers = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version)
        headers += "".join("Requires-Dist: %s\n" % line for line in requires) + "\n# %s\nVersion: 0.0.1\n" % name
        place = "%s-%s%s" % (name, version, "-py3.11.egg-info/PKG-INFO" if egg else ".dist-info/METADATA")
        return self.write("%s/%s" % (site, place), headers)

    def add_torch(self, version, values, site="/usr/lib/python3.11/site-packages", annotated=True, metadata=True):
        lines = ["__version__ = %r" % version, "debug = False"]
        lines += ["%s%s = %r" % (name, ": Optional[str]" if annotated else "", value) for name, value in values.items()]
        self.write(site + "/torch/version.py", "from typing import Optional\n\n" * annotated + "\n".join(lines) + "\n")
        self.write(site + "/torch/__init__.py")
        return self.add_package("torch", version, site) if metadata else self

    def doctor(self, *arguments, **environment):
        return doctor("--root", str(self.folder), *arguments, **environment)


def doctor(*arguments, **environment):
    """The exit code and the document."""
    clean = {"PATH": "/usr/bin", "HOME": "/root", "TORCHFERRY_REPLAY": "/nowhere"}
    clean.update(environment)
    done = subprocess.run([oracle.binary(), "doctor", "--json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean)
    if done.returncode == 2:
        return 2, done.stderr.decode()
    document = json.loads(done.stdout)
    assert document["schema"] == "torchferry.doctor/1", document["schema"]
    return done.returncode, document


def only(code_and_document):
    code, document = code_and_document
    assert len(document["pythons"]) == 1, [p["program"] for p in document["pythons"]]
    return code, document["pythons"][0]


def codes(python):
    return sorted(finding["code"] for finding in python["findings"])


def equal(what, got, want):
    if got != want:
        raise AssertionError("%s: %r instead of %r" % (what, got, want))


# ---------------------------------------------------------------------------------------------------------------------- the matrix

def text_of(low, high):
    return ">=%s" % low + (",<%s" % high if high else "")


def check_row(release, ranges, build):
    """Each package in, below and above its range, the other three in the middle of theirs."""
    suffix, values, expected = build
    count = 0
    for package, (low, high) in ranges.items():
        below, candidate = neighbours(low)
        versions = {low: True, below: False, candidate: False, low + ".post1": True}
        if high:
            versions.update({high: False, neighbours(high)[0]: True, high + "rc1": False, high + ".dev0": False})
        else:
            versions["999.0"] = True
        for version, fits in versions.items():
            with tempfile.TemporaryDirectory() as folder:
                root = Root(folder).add_torch(release + ".1" + suffix, values)
                for other, (middle, _) in ranges.items():
                    root.add_package(other, version if other == package else middle)
                code, python = only(root.doctor())
            label = "torch %s%s, %s %s" % (release, suffix, package, version)
            for key, value in expected.items():
                equal("%s: %s" % (label, key), python["torch"][key], value)
            equal(label + ": exit code", code, 0 if fits else 1)
            equal(label + ": packages", [(p["name"], p["installed"], p["range"], p["fits"]) for p in python["packages"]],
                  [(name, version if name == package else ranges[name][0], text_of(*ranges[name]), name != package or fits)
                   for name in PACKAGES])
            equal(label + ": conflicts", [f["what"].split()[0] for f in python["findings"] if f["conflict"]], [] if fits else [package])
            want = [] if fits else [["/usr/bin/python3", "-m", "pip", "install"] +
                                    ["%s%s" % (name, text_of(*ranges[name])) for name in PACKAGES]]
            equal(label + ": install", [shlex.split(line) for line in python["install"]], want)
            count += 1
    return count


def check_matrix():
    """Every release of every row, and every build, but not all pairs of them."""
    releases = [(release, ranges) for row, ranges in ROWS.items() for release in row]
    count = sum(check_row(release, ranges, build) for (release, ranges), build in zip(releases, itertools.cycle(BUILDS)))
    for build in BUILDS:
        with tempfile.TemporaryDirectory() as folder:
            code, python = only(Root(folder).add_torch("2.10.0" + build[0], build[1]).doctor())
        equal("%s: exit code" % (build,), code, 0)
        for key, value in build[2].items():
            equal("%s: %s" % (build, key), python["torch"][key], value)
        equal("%s: hip" % (build,), python["torch"]["hip"], build[1].get("hip"))
        equal("%s: driver" % (build,), codes(python), ["TF654"] if build[2]["build"] in ("cuda", "rocm") else [])
        count += 1
    return "%d environments" % count


# ------------------------------------------------------------------------------------------------------- environments of other shapes

def check_no_torch():
    with tempfile.TemporaryDirectory() as folder:
        code, python = only(Root(folder).add_package("transformers", "4.44.0").doctor())
    equal("exit code", code, 0)
    equal("torch", python["torch"], None)
    equal("transformers", [(p["installed"], p["range"], p["fits"]) for p in python["packages"]][0], ("4.44.0", None, None))
    equal("install", [shlex.split(line)[4:] for line in python["install"]], [["torch", "--index-url", "https://download.pytorch.org/whl/cpu"]])
    return "no PyTorch"


def check_no_python():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "etc").mkdir()
        code, document = doctor("--root", folder)
    equal("exit code", code, 0)
    equal("pythons", document["pythons"], [])
    return "no Python"


def check_old_wheels():
    """version.py as the wheels of 1.0.1, 1.4.0 (Python 2.7 too), 1.12.1 and 2.13.0 have it."""
    files = {
        "1.0.1": ("__version__ = '1.0.1'\ndebug = False\ncuda = '9.0.176'\n", "cuda", "9.0.176", "1.0.1"),
        "1.4.0": ("__version__ = '1.4.0'\ndebug = False\ncuda = '10.1'\ngit_version = u'7f73f1d591afba823daa4a99a939217fb54d7688'\n"
                  "hip = None\n", "cuda", "10.1", "1.4.0"),
        "1.12.1+cu102": ("__version__ = '1.12.1+cu102'\ndebug = False\ncuda = '10.2'\n"
                         "git_version = '664058fa83f1d8eede5d66418abff6e20bd76ca8'\nhip = None\n", "cuda", "10.2", "1.12.1"),
        "2.13.0+cpu": ("from typing import Optional\n\n__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip', 'rocm', 'xpu']\n"
                       "__version__ = '2.13.0+cpu'\ndebug = False\ncuda: Optional[str] = None\n"
                       "git_version = 'cf30153c4c131c8164ee7798e5022d810682e2cb'\nhip: Optional[str] = None\nrocm: Optional[str] = None\n"
                       "xpu: Optional[str] = None\n", "cpu", None, "2.13.0+cpu"),
    }
    for version, (text, build, cuda, metadata) in files.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Root(folder).add_package("torch", metadata)
            root.write("/usr/lib/python3.11/site-packages/torch/version.py", text)
            code, python = only(root.doctor())
        torch = python["torch"]
        equal(version, (torch["version"], torch["build"], torch["cuda"], torch["hip"], torch["rocm"]), (version, build, cuda, None, None))
        equal(version + ": exit code", code, 0)
        old = version.startswith("1.")
        equal(version + ": findings", codes(python), ["TF653", "TF654"] if old else [])
        equal(version + ": install", len(python["install"]), 0 if old else 1)
    return "%d files" % len(files)


def check_broken_metadata():
    site = "/usr/lib/python3.11/site-packages"
    cases = {
        "empty": lambda root: root.write(site + "/transformers-4.50.0.dist-info/METADATA", ""),
        "bytes": lambda root: root.write(site + "/transformers-4.50.0.dist-info/METADATA", bytes(range(256)) * 40),
        "missing": lambda root: root.write(site + "/transformers-4.50.0.dist-info/RECORD", ""),
        "no version": lambda root: root.write(site + "/transformers-4.50.0.dist-info/METADATA", "Name: transformers\n"),
        "no such version": lambda root: root.write(site + "/transformers-4.50.0.dist-info/METADATA", "Name: transformers\nVersion: main\n"),
        "a folder": lambda root: root.write(site + "/transformers-4.50.0.dist-info/METADATA/file", ""),
    }
    for label, make in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Root(folder).add_torch("2.3.0", {"cuda": None, "hip": None})
            make(root)
            code, python = only(root.doctor())
        package = python["packages"][0]
        equal(label, (package["installed"], package["fits"], code), ("4.50.0", False, 1))
        equal(label + ": findings", codes(python), ["TF650", "TF652"])
    return "%d ways" % len(cases)


def check_broken_torch():
    site = "/usr/lib/python3.11/site-packages"
    with tempfile.TemporaryDirectory() as folder:
        code, python = only(Root(folder).add_package("torch", "2.3.0").doctor())
        equal("metadata alone", (code, python["torch"], codes(python)), (0, None, ["TF652"]))
    with tempfile.TemporaryDirectory() as folder:
        code, python = only(Root(folder).add_package("torch", "2.3.0+cu121").write(site + "/torch/__init__.py").doctor())
        torch = python["torch"]
        equal("no version.py", (torch["version"], torch["build"], torch["cuda"]), ("2.3.0+cu121", "cuda", "12.1"))
        equal("no version.py", "TF652" in codes(python), True)
    with tempfile.TemporaryDirectory() as folder:
        root = Root(folder).add_torch("2.3.0+cpu", {"cuda": None}, metadata=False).add_package("torch", "2.1.0")
        code, python = only(root.doctor())
        equal("two truths", (python["torch"]["version"], python["ranges_for"], codes(python)), ("2.3.0+cpu", "2.3", ["TF652"]))
    with tempfile.TemporaryDirectory() as folder:
        root = Root(folder).write(site + "/torch/version.py", "__version__ = 'master'\ncuda = None\n")
        code, python = only(root.doctor())
        equal("no version", (code, python["ranges_for"], codes(python), python["install"]), (0, None, ["TF652"], []))
    return "4 ways"


def check_layouts():
    """venv, Debian's folders, user site, .pth, egg-info, conda, pyenv, lib64: the same packages found in each."""
    versions = {"transformers": "4.44.0", "huggingface_hub": "0.26.0"}

    def fill(root, site, egg=False):
        root.add_torch("2.4.1+cpu", {"cuda": None, "hip": None}, site)
        for name, version in versions.items():
            root.add_package(name, version, site, egg=egg)

    def venv(root):
        root.write("/venv/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n")
        (root.folder / "venv/bin").mkdir()
        (root.folder / "venv/bin/python").symlink_to("/usr/bin/python3.11")
        fill(root, "/venv/lib/python3.11/site-packages")
        return {}, "/venv/bin/python", "venv", "3.11.2"

    def debian(root):
        fill(root, "/usr/lib/python3/dist-packages", egg=True)
        return {}, "/usr/bin/python3", "system", "3.11"

    def local(root):
        fill(root, "/usr/local/lib/python3.11/dist-packages")
        return {}, "/usr/bin/python3", "system", "3.11"

    def user(root):
        fill(root, "/root/.local/lib/python3.11/site-packages")
        return {}, "/usr/bin/python3", "system", "3.11"

    def pth(root):
        fill(root, "/src/pytorch")
        root.write("/usr/lib/python3.11/site-packages/easy-install.pth", "# these\nimport os; os._exit(1)\n/src/pytorch\n/nowhere\n")
        return {}, "/usr/bin/python3", "system", "3.11"

    def conda(root):
        root.add_python("/opt/conda/envs/ml", "3.12").write("/opt/conda/envs/ml/conda-meta/history")
        root.write("/opt/conda/envs/ml/include/python3.12/patchlevel.h", '#define PY_VERSION      \t"3.12.4"\n')
        fill(root, "/opt/conda/envs/ml/lib/python3.12/site-packages", egg=True)
        return {"CONDA_PREFIX": "/opt/conda/envs/ml"}, "/opt/conda/envs/ml/bin/python3.12", "conda", "3.12.4"

    def pyenv(root):
        root.add_python("/root/.pyenv/versions/3.9.18", "3.9")
        fill(root, "/root/.pyenv/versions/3.9.18/lib/python3.9/site-packages")
        return {"PATH": "/usr/bin"}, "/root/.pyenv/versions/3.9.18/bin/python3.9", "pyenv", "3.9"

    def shim(root):
        root.add_python("/root/.pyenv/versions/3.9.18", "3.9").add_python("/root/.pyenv/versions/3.9.2", "3.9")
        root.write("/root/.pyenv/shims/python3", "#!/bin/sh\nexec pyenv exec\n", 0o755).write("/root/.pyenv/version", "3.9\n")
        fill(root, "/root/.pyenv/versions/3.9.18/lib/python3.9/site-packages")
        return {"PATH": "/root/.pyenv/shims:/usr/bin"}, "/root/.pyenv/versions/3.9.18/bin/python3.9", "pyenv", "3.9"

    def lib64(root):
        root.write("/opt/py/lib64/python3.8/os.py").write("/opt/py/bin/python3.8", b"\x7fELF", 0o755)
        fill(root, "/opt/py/lib64/python3.8/site-packages")
        return {"PATH": "/opt/py/bin"}, "/opt/py/bin/python3.8", "system", "3.8"

    def active(root):
        root.write("/home/me/env/pyvenv.cfg", "home = /usr/bin\nimplementation = CPython\nversion_info = 3.11.2.final.0\n"
                                              "include-system-site-packages = true\n")
        root.write("/home/me/env/bin/python", b"\x7fELF", 0o755).write("/home/me/env/lib/python3.11/site-packages/x.py")
        fill(root, "/usr/lib/python3.11/site-packages")
        return {"VIRTUAL_ENV": "/home/me/env", "PATH": "/home/me/env/bin"}, "/home/me/env/bin/python", "venv", "3.11.2"

    found_by = {"venv": ["folder"], "conda": ["CONDA_PREFIX"], "pyenv": ["pyenv"], "shim": ["PATH", "pyenv"], "active": ["VIRTUAL_ENV", "PATH"]}
    layouts = (venv, debian, local, user, pth, conda, pyenv, shim, lib64, active)
    for layout in layouts:
        with tempfile.TemporaryDirectory() as folder:
            root = Root(folder)
            environment, program, kind, version = layout(root)
            code, document = root.doctor(**environment)
        label = layout.__name__
        found = [p for p in document["pythons"] if p["program"] == program]
        equal(label + ": programs", [p["program"] for p in document["pythons"] if p["torch"]], [program])
        equal(label, (found[0]["kind"], found[0]["version"]), (kind, version))
        equal(label, [p["installed"] for p in found[0]["packages"]], ["4.44.0", None, None, "0.26.0"])
        equal(label, [p["fits"] for p in found[0]["packages"]], [True, None, None, True])
        equal(label + ": findings", (code, codes(found[0])), (0, []))
        equal(label + ": found by", found[0]["found_by"], found_by.get(label, ["PATH"]))
    return "%d layouts" % len(layouts)


def check_several_pythons():
    with tempfile.TemporaryDirectory() as folder:
        root = Root(folder).add_python("/opt/a", "3.8").add_python("/opt/b", "3.12")
        root.add_torch("2.3.0", {"cuda": None}, "/opt/a/lib/python3.8/site-packages")
        root.add_package("diffusers", "0.35.0", "/opt/a/lib/python3.8/site-packages")
        root.add_torch("2.10.0", {"cuda": None}, "/opt/b/lib/python3.12/site-packages")
        root.add_package("diffusers", "0.35.0", "/opt/b/lib/python3.12/site-packages")
        code, document = root.doctor(PATH="/opt/b/bin:/usr/bin:/opt/a/bin:/usr/bin")
        equal("order", [p["prefix"] for p in document["pythons"]], ["/opt/b", "/usr", "/opt/a"])
        equal("conflicts", (code, document["conflicts"]), (1, 1))
        equal("fits", [p["packages"][1]["fits"] for p in document["pythons"]], [True, None, False])
        equal("programs", document["pythons"][0]["programs"], ["/opt/b/bin/python3", "/opt/b/bin/python3.12"])
        again = root.doctor(PATH="/opt/b/bin:/usr/bin:/opt/a/bin:/usr/bin")
        equal("the same document", again, (code, document))
        code, python = only(root.doctor("--python", "/opt/b/bin/python3", PATH="/opt/a/bin"))
        equal("--python", (code, python["prefix"], python["found_by"]), (0, "/opt/b", ["--python"]))
        code, document = root.doctor("--python", "/opt/b", "--python", "/opt/a/bin/python3.8")
        equal("two of them", (code, [p["prefix"] for p in document["pythons"]]), (1, ["/opt/b", "/opt/a"]))
        for wrong in ("/opt/nothing", "/opt/a/lib", "/usr/lib/python3.11/os.py"):
            equal(wrong, root.doctor("--python", wrong)[0], 2)
    return "3 Pythons"


def check_requirements():
    with tempfile.TemporaryDirectory() as folder:
        root = Root(folder).add_torch("2.4.0+cpu", {"cuda": None})
        root.add_package("transformers", "4.44.0", requires=["huggingface-hub (<1.0,>=0.23.2)", "diffusers<0.1 ; extra == 'x'", "torch>=1.11"])
        root.add_package("huggingface_hub", "1.1.0").add_package("accelerate", "0.33.0", requires=["torch>=2.5", "numpy<3"])
        code, python = only(root.doctor())
    equal("exit code", code, 1)
    equal("findings", [(f["code"], f["conflict"], f["what"]) for f in python["findings"]],
          [("TF651", True, "accelerate 0.33.0 wants torch>=2.5; 2.4.0+cpu is installed"),
           ("TF651", True, "transformers 4.44.0 wants huggingface-hub<1.0,>=0.23.2; 1.1.0 is installed")])
    return "2 conflicts"


def check_machines():
    nvidia = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  %s  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  gcc version 12.2.0\n"
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  %s  Release Build  (dvs-builder)  Sun Jul 27 06:54:38 UTC 2025\n"
    with tempfile.TemporaryDirectory() as folder:
        root = Root(folder).write("/proc/driver/nvidia/version", nvidia % "470.82.01")
        root.write("/proc/driver/nvidia/gpus/0000:07:00.0/information", "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   \t\t 1\n")
        root.write("/usr/lib/x86_64-linux-gnu/libcuda.so.470.82.01")
        (root.folder / "usr/lib/x86_64-linux-gnu/libcuda.so.1").symlink_to("libcuda.so.470.82.01")
        root.write("/usr/local/cuda-11.4/version.json", '{"cuda": {"name": "CUDA SDK", "version": "11.4.20211015"}}')
        (root.folder / "usr/local/cuda").symlink_to("/usr/local/cuda-11.4")
        root.write("/usr/local/cuda-10.1/version.txt", "CUDA Version 10.1.243\n").write("/usr/bin/nvidia-smi", "", 0o755)
        code, document = root.add_torch("2.4.0+cu121", {"cuda": "12.1", "hip": None}).doctor()
        found = document["machine"]["nvidia"]
        equal("driver", (found["driver"], found["driver_source"]), ("470.82.01", "/proc/driver/nvidia/version"))
        equal("gpus", found["gpus"], ["NVIDIA A100-SXM4-40GB"])
        equal("libcuda", (found["libcuda"], found["nvidia_smi"]), ("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/bin/nvidia-smi"))
        equal("toolkits", [(t["path"], t["version"]) for t in found["cuda"]],
              [("/usr/local/cuda-11.4", "11.4.20211015"), ("/usr/local/cuda-10.1", "10.1.243")])
        equal("too old", (code, codes(document["pythons"][0])), (0, ["TF655"]))
        root.write("/proc/driver/nvidia/version", opened % "580.65.06")
        code, document = root.doctor()
        equal("open module", (document["machine"]["nvidia"]["driver"], codes(document["pythons"][0])), ("580.65.06", []))
        root.write("/usr/lib/python3.11/site-packages/torch/version.py", "__version__ = '2.4.0+cpu'\ncuda = None\nhip = None\n")
        equal("unused", codes(root.doctor()[1]["pythons"][0]), ["TF656"])
    indices = {"304.10": "cpu", "470.82.01": "cu118", "535.129.03": "cu126", "580.65.06": "cu130"}
    for driver, index in indices.items():
        with tempfile.TemporaryDirectory() as folder:
            code, python = only(Root(folder).write("/proc/driver/nvidia/version", nvidia % driver).doctor())
        equal("index for " + driver, python["install"][0].rsplit("/", 1)[1], index)
    for rocm, index in {"5.7.1-98": "rocm5.7", "6.2.4-134": "rocm6.2.4", "6.4.2": "rocm6.4", "7.0.1-42": "rocm7.0", "4.5.2": "cpu"}.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Root(folder).write("/sys/module/amdgpu/version", "6.8.5\n").write("/opt/rocm-x/.info/version", rocm + "\n")
            (root.folder / "opt/rocm").symlink_to("rocm-x")
            root.write("/sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\ngfx_target_version 0\n")
            root.write("/sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 416\ngfx_target_version 90010\n")
            code, document = root.doctor()
        amd = document["machine"]["amd"]
        equal("ROCm " + rocm, (amd["driver"], amd["driver_version"], amd["gpus"]), (True, "6.8.5", ["gfx90a"]))
        equal("ROCm " + rocm, amd["rocm"], [{"path": "/opt/rocm-x", "version": rocm}])
        equal("index for ROCm " + rocm, document["pythons"][0]["install"][0].rsplit("/", 1)[1], index)
    return "%d machines" % (3 + len(indices) + 5)


# --------------------------------------------------------------------------------------------------------------- versions of others

def packaging():
    """The module, on its own or as setuptools brings it."""
    spec = importlib.util.find_spec("packaging") or importlib.util.find_spec("setuptools")
    if spec is None:
        return None
    if spec.name == "setuptools":
        sys.path.append(os.path.join(spec.submodule_search_locations[0], "_vendor"))
    import packaging.specifiers
    import packaging.version
    return packaging


def random_version(choose, local=True):
    text = "1!" if choose.random() < 0.05 else ""
    text += ".".join(str(choose.choice([0, 1, 2, 9, 10])) for _ in range(choose.randint(1, 4)))
    if choose.random() < 0.3:
        text += choose.choice(["a", "b", "rc", ".alpha", "-beta.", "_c"]) + str(choose.choice([0, 1, 2, 10]))
    if choose.random() < 0.25:
        text += choose.choice([".post", "-", ".rev", "post"]) + str(choose.choice([0, 1, 2, 10]))
    if choose.random() < 0.25:
        text += choose.choice([".dev", "dev", "-dev"]) + str(choose.choice([0, 1, 20230601]))
    if local and choose.random() < 0.25:
        text += "+" + choose.choice(["cu121", "cpu", "rocm6.0", "1", "2", "10", "abc.1", "abc.2", "git1234"])
    return text


def random_range(choose):
    parts = []
    for _ in range(choose.randint(1, 3)):
        relation = choose.choice(["==", "!=", "<=", ">=", "<", ">", "~=", "=="])
        version = random_version(choose, local=False)
        if relation in ("==", "!=") and choose.random() < 0.4:
            version = ".".join(str(choose.choice([0, 1, 2, 9, 10])) for _ in range(choose.randint(1, 3))) + ".*"
        parts.append(relation + version)
    return ",".join(parts)


def check_packaging():
    """Many projects in one environment, each with a random version and a range: who is right is for packaging to say."""
    module = packaging()
    if module is None:
        return "skipped: no packaging"
    choose, count, fitting = random.Random(440), 0, 0
    for _ in range(8):
        expected, table = {}, []
        with tempfile.TemporaryDirectory() as folder:
            root = Root(folder).add_torch("2.10.0", {"cuda": None})
            while len(expected) < 250:
                version, wanted = random_version(choose), random_range(choose)
                try:
                    fits = module.specifiers.SpecifierSet(wanted).contains(module.version.Version(version), prereleases=True)
                except module.specifiers.InvalidSpecifier:
                    continue
                name = "p%d" % len(expected)
                expected[name] = (version, wanted, fits)
                table.append('%s = "%s"' % (name, wanted))
                root.add_package(name, version)
            ranges = pathlib.Path(folder, "ranges.toml")
            ranges.write_text('[[torch]]\nfrom = "2.0"\n[torch.packages]\n' + "\n".join(table) + "\n")
            code, python = only(root.doctor("--ranges", str(ranges)))
        equal("order", [p["name"] for p in python["packages"]], list(expected))
        for package in python["packages"]:
            version, wanted, fits = expected[package["name"]]
            equal("%s in %s" % (version, wanted), package["fits"], fits)
            count += 1
            fitting += fits
    return "%d pairs of versions and ranges, %d fit" % (count, fitting)


# -------------------------------------------------------------------------------------------------------------- real environments

def check_this_environment():
    import torch
    import torch.version
    code, python = only(doctor("--python", sys.executable, "--run", PATH=os.environ["PATH"], HOME=os.environ.get("HOME", "/")))
    build = "rocm" if torch.version.hip else "cuda" if torch.version.cuda else "cpu"
    found = python["torch"]
    equal("torch", (found["version"], found["build"], found["hip"], found["git_version"]),
          (str(torch.__version__), build, torch.version.hip, torch.version.git_version))
    if build == "cuda":
        equal("cuda", found["cuda"], torch.version.cuda)
    equal("python", python["version"], "%d.%d.%d" % sys.version_info[:3])
    equal("folder", os.path.realpath(found["path"]), os.path.realpath(os.path.dirname(torch.__file__)))
    said = python["said"]
    equal("said", (said["torch"], said["version"], said["failure"]), (str(torch.__version__), python["version"], None))
    equal("available", said["cuda_available"], torch.cuda.is_available())
    import importlib.metadata
    for package in python["packages"]:
        try:
            version = importlib.metadata.version(package["name"])
        except importlib.metadata.PackageNotFoundError:
            version = None
        equal(package["name"], package["installed"], version)
    return "torch %s, %s" % (found["version"], build)


CHECKS = [check_matrix, check_no_torch, check_no_python, check_old_wheels, check_broken_metadata, check_broken_torch, check_layouts,
          check_several_pythons, check_requirements, check_machines, check_packaging, check_this_environment]


def main():
    failures = 0
    for check in CHECKS:
        name = check.__name__[len("check_"):].replace("_", " ")
        try:
            print("%-18s %s" % (name, check()))
        except AssertionError as error:
            failures += 1
            print("%-18s FAIL: %s" % (name, error))
    print("%d of %d checks passed" % (len(CHECKS) - failures, len(CHECKS)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
