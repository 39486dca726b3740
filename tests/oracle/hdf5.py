"""HDF5 as h5py writes and reads it: files made here by h5py convert to what h5py holds, of every type, layout and order; and files that
torchferry-hdf5 makes, payloads put where it says, are read by h5py as what was meant, with the same bytes each time.

    python hdf5.py
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import ferry_oracle as oracle

NUMPY = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "complex64",
         "complex128")
MARKED = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}     # kept as integers, named by an attribute


def values(dtype, count, seed=0):
    import numpy as np
    raw = np.random.default_rng(seed).integers(0, 256, count * np.dtype(dtype).itemsize, dtype=np.uint8)
    if dtype == "bool":
        return raw % 2 == 1
    return np.frombuffer(raw.tobytes(), dtype)


# ---------------------------------------------------------------------------------------------------------------- files by h5py

def every_type(f):
    for name in NUMPY:
        f[name] = values(name, 12).reshape(3, 4)
    for name, stored in MARKED.items():
        f[name] = values(stored, 6)
        f[name].attrs["dtype"] = name


def big_endian(f):
    for name in NUMPY:
        if name != "bool":
            a = values(name, 6)
            f[name] = a.astype(a.dtype.newbyteorder(">"))


def shapes(f):
    import numpy as np
    f["scalar"] = np.float32(1.5)
    f["empty"] = np.zeros((0,), "f4")
    f["empty_between"] = np.zeros((3, 0, 2), "i8")
    f["five"] = values("float32", 2 * 3 * 1 * 2 * 2).reshape(2, 3, 1, 2, 2)
    f["flag"] = np.bool_(True)


def packed(f):
    for name in ("float32", "int64", "bool", "complex64"):
        data = values(name, 1000).reshape(40, 25)
        f.create_dataset("gzip_" + name, data=data, chunks=(7, 11), compression="gzip", shuffle=True)
        f.create_dataset("plain_" + name, data=data, chunks=(16, 25))
    f.create_dataset("fletcher", data=values("float64", 99), chunks=(10,), fletcher32=True)
    f.create_dataset("big", data=values("float32", 3_000_000).reshape(3000, 1000), chunks=(500, 300), compression="gzip", compression_opts=1)
    f.create_dataset("wide", data=values("uint8", 5_000_000).reshape(1, 5_000_000), chunks=(1, 100_000))
    f.create_dataset("unwritten", shape=(5, 5), dtype="f4", fillvalue=2.5)
    f.create_dataset("half_written", shape=(100,), dtype="i4", chunks=(10,), fillvalue=7)[30:35] = 1


def compact(f):
    import h5py
    import numpy as np
    for name in ("float32", "int16", "bool"):
        data = values(name, 20)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(f.id, name.encode(), h5py.h5t.py_create(data.dtype, logical=True), space, plist)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(data))


def groups(f):
    """As Keras lays out weights, with attributes, strings and tied datasets."""
    import h5py
    import numpy as np
    f.attrs["backend"], f.attrs["layer_names"] = "tensorflow", np.array([b"dense_1", b"dense_2"])
    for layer in ("dense_1", "dense_2"):
        group = f.create_group(layer).create_group(layer)
        group.attrs["weight_names"] = [layer + "/kernel:0", layer + "/bias:0"]
        group["kernel:0"], group["bias:0"] = values("float32", 12).reshape(4, 3), values("float32", 3)
    f["dense_2/tied"] = f["dense_1/dense_1/kernel:0"]
    f["words"] = ["one", "zwei", "три", ""]
    f["fixed"] = np.array([b"ab", b"c"])
    f["word"] = "größer"
    f["nothing"] = h5py.Empty("f4")


def creation_order(f):
    for name in ("z", "m", "a", "q"):
        f[name] = values("float32", 3)


def many(f):
    for i in range(500):
        f["layers/%d/weight" % i] = values("float32", 1 + i % 50, i)


CASES = [(make, options) for make in (every_type, big_endian, shapes, packed, compact, groups, many) for options in ({}, {"libver": ("v110", "v110")})]
CASES += [(creation_order, {"track_order": True}), (shapes, {"userblock_size": 1024}), (packed, {"userblock_size": 512})]


class Reading:
    def __init__(self, make, options):
        self.make, self.options, self.group = make, options, "h5py to torch"
        self.label = "%s %s" % (make.__name__, options or "")


def expected(item, dtype_of):
    """What the converted file must hold in place of a group or dataset: dicts, text, lists, None, or (dtype, shape, bytes)."""
    import h5py
    import numpy as np
    if isinstance(item, h5py.Group):
        return {name: expected(item[name], dtype_of) for name in item}
    if item.shape is None:
        return None
    if h5py.check_string_dtype(item.dtype):
        text = item.asstr()[()]
        return text if isinstance(text, str) else list(text)
    array = np.asarray(item[()])
    array = array.astype(array.dtype.newbyteorder("<"))
    return item.attrs.get("dtype", array.dtype.name), array.shape, array.tobytes()


def differences(want, got, path=""):
    if isinstance(want, dict):
        if not isinstance(got, dict) or list(want) != list(got):
            return ["%s: keys %s" % (path, list(got) if isinstance(got, dict) else type(got))]
        return [line for key in want for line in differences(want[key], got[key], path + "/" + key)]
    if not isinstance(want, tuple):
        return [] if type(want) is type(got) and want == got else ["%s: %r" % (path, got)]
    have = (oracle.dtype_name(got), tuple(got.shape), oracle.bits(got))
    return [] if have == want else ["%s: %s %s" % ((path,) + have[:2])]


def check_reading(case):
    import h5py
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "x.h5"), os.path.join(folder, "x.pt")
        with h5py.File(source, "w", **case.options) as f:
            case.make(f)
        status, message = oracle.convert(source, target)
        if status != 0:
            return ["exit %s: %s" % (status, message)]
        loaded = oracle.load_safely(target)
        with h5py.File(source, "r") as f:
            failures = differences(expected(f, None), loaded)
    if case.make is groups and loaded["dense_2"]["tied"].data_ptr() != loaded["dense_1"]["dense_1"]["kernel:0"].data_ptr():
        failures.append("two names of one dataset are two tensors")
    return failures


# ---------------------------------------------------------------------------------------------------------------- what is refused

def compound(f):
    import numpy as np
    f["rows"] = np.zeros(3, [("a", "f4"), ("b", "i4")])


def references(f):
    import h5py
    f["x"] = values("float32", 2)
    f["r"] = f["x"].ref
    f.create_dataset("refs", (1,), h5py.ref_dtype)


def sequences(f):
    import h5py
    f.create_dataset("ragged", (2,), h5py.vlen_dtype("f4"))


def cycle(f):
    f.create_group("a/b")
    f["a/b/back"] = f["a"]


def bomb(f):
    f.create_dataset("huge", shape=(1 << 40,), dtype="f4", chunks=(1 << 20,), fillvalue=1)


def elsewhere(f):
    f.create_dataset("outside", shape=(4,), dtype="u1", external=[("/etc/passwd", 0, 4)])


def view(f):
    import h5py
    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    f.create_virtual_dataset("view", layout)


class Refusal:
    def __init__(self, make, word):
        self.make, self.word, self.group, self.label = make, word, "refused", make.__name__


REFUSED = [Refusal(compound, "table"), Refusal(references, "references"), Refusal(sequences, "varying"), Refusal(cycle, "holds itself"),
           Refusal(bomb, "claims"), Refusal(elsewhere, "other files"), Refusal(view, "view of other datasets")]


def check_refusal(case):
    import h5py
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "x.h5"), os.path.join(folder, "x.pt")
        with h5py.File(source, "w") as f:
            case.make(f)
        status, message = oracle.convert(source, target)
        if status != 2 or case.word not in message or os.path.exists(target):
            return ["exit %s: %s" % (status, message)]
    return []


# ---------------------------------------------------------------------------------------------------------------- files by torchferry

def helper():
    return os.environ.get("TORCHFERRY_HDF5") or str(pathlib.Path(oracle.binary()).with_name("torchferry-hdf5"))


def make_file(path, objects):
    """Starts the helper as torchferry does; payloads of zeros. Returns where it wants the payloads of the datasets."""
    with open(path, "w+b") as f:
        done = subprocess.run(["bash", "-c", 'exec "$0" 1 skeleton 0 60 0 0 3<>"$1"', helper(), path], capture_output=True,
                              input="".join(json.dumps(o) + "\n" for o in objects).encode(), check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return [json.loads(line) for line in done.stdout.splitlines()][:-1]


def attribute(name, kind, content, shape=()):
    return {"name": name, "kind": kind, "values": content, "shape": list(shape)}


class Writing:
    group, label = "torchferry to h5py", "every type"


def check_writing(_):
    import h5py
    import numpy as np
    names = NUMPY + tuple(MARKED)
    columns = [("step", "int64"), ("name", "string:8"), ("loss", "float64"), ("ok", "bool")]
    objects = [{"kind": "group", "attributes": [attribute("tool", "text", ["torchferry ü"]), attribute("count", "integer", [-3]),
                                                attribute("bounds", "real", ["0.1", "inf", "nan"], (3,)), attribute("on", "boolean", [True]),
                                                attribute("names", "text", ["a", "bcd"], (2,))]},
               {"in": 0, "name": "zz", "kind": "group"}]
    objects += [{"in": 1, "name": n, "kind": "dataset", "type": n, "shape": [2, 3]} for n in names]
    objects += [{"in": 0, "name": "metrics", "kind": "dataset", "type": "table", "shape": [5], "columns": [{"name": n, "type": t} for n, t in columns]},
                {"in": 0, "name": "scalar", "kind": "dataset", "type": "float64", "shape": []},
                {"in": 0, "name": "none", "kind": "dataset", "type": "float32", "shape": [0, 4]}]
    table = np.dtype([("step", "<i8"), ("name", "S8"), ("loss", "<f8"), ("ok", "?")])
    payloads = [values(MARKED.get(n, n), 6).tobytes() for n in names]
    payloads += [np.array([(i, b"row%d" % i, i / 3, i % 2) for i in range(5)], table).tobytes(), np.float64(0.1).tobytes(), b""]
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("a.h5", "b.h5")]
        for path in paths:
            for place, payload in zip(make_file(path, objects), payloads):
                if place["size"] != len(payload) or len(payload) >= 64 and place["offset"] % 64:
                    failures.append("%s for %d bytes" % (place, len(payload)))
                with open(path, "r+b") as f:
                    f.seek(place["offset"])
                    f.write(payload)
        if pathlib.Path(paths[0]).read_bytes() != pathlib.Path(paths[1]).read_bytes():
            failures.append("two runs, two files")
        with h5py.File(paths[0], "r") as f:
            bounds = list(f.attrs["bounds"])
            if (list(f), f.attrs["tool"], f.attrs["count"], bounds[:2], bool(f.attrs["on"])) != \
                    (["zz", "metrics", "scalar", "none"], "torchferry ü", -3, [0.1, float("inf")], True) or bounds[2] == bounds[2]:
                failures.append("attributes or order: %s %s" % (list(f), dict(f.attrs)))
            if list(f.attrs["names"]) != ["a", "bcd"]:
                failures.append("names: %r" % list(f.attrs["names"]))
            for name, payload in zip(names, payloads):
                got = f["zz"][name]
                if got[()].tobytes() != payload or got.dtype.name != MARKED.get(name, name) or got.attrs.get("dtype", name) != name:
                    failures.append("%s: %s" % (name, got.dtype))
            rows = f["metrics"][()]
            if rows["name"][4] != b"row4" or rows["loss"][2] != 2 / 3 or list(rows["ok"]) != [False, True] * 2 + [False]:
                failures.append("metrics: %s" % rows)
            if f["scalar"][()] != 0.1 or f["none"].shape != (0, 4):
                failures.append("scalar or none")
    return failures


def check(case):
    run = {Reading: check_reading, Refusal: check_refusal, Writing: check_writing}[type(case)]
    return {"label": case.label, "group": case.group, "failures": run(case)}


if __name__ == "__main__":
    if not os.access(helper(), os.X_OK):
        print("skipped: no torchferry-hdf5")
        sys.exit(77)
    try:
        import h5py
    except ImportError:
        print("skipped: no h5py")
        sys.exit(77)
    sys.exit(oracle.report(oracle.run_checks(check, [Reading(*case) for case in CASES] + REFUSED + [Writing()])))
