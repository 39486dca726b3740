#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Records what a model computes, so that another PyTorch can be held to it.

Run it where the old model still runs. It loads your factory and checkpoint, feeds inputs, and writes a golden: inputs, outputs and
the output of every module, in float32 and in float64, with hashes that bind it to the checkpoint. torchferry replays it in 2.x.

    python torchferry_recorder.py --factory net.py:build --checkpoint best.pth --key model_state \\
        --input-spec '{"0": ["float32", [2, 3, 224, 224]]}' -o best.golden.h5

One file without dependencies but torch and numpy (h5py for .h5), for Python 2.7 and 3, PyTorch 1.0 to 2.x.
"""
from __future__ import absolute_import, division, print_function, unicode_literals

import argparse
import collections
import fnmatch
import hashlib
import io
import json
import os
import platform
import random
import signal
import sys
import traceback
import zipfile

VERSION = "0.1.0"
LAYOUT = 1
DEFAULT_SAMPLES = 1024
TEXT = type("")
BYTES = type(b"")
LARGEST = sys.float_info.max

EPILOG = """\
factories     pkg.module:name or path/to/file.py:name; called with --kwargs, returns a torch.nn.Module
inputs        --inputs FILE.npz|.pt   arrays named 0, 1 ... go by position, others by name; CASE/NAME for several cases
              --inputs GOLDEN         the inputs of a golden recorded before
              --inputs FILE.py:name   a function that returns a list of cases: a tensor, a tuple of arguments, or
                                      dict(args=(...), kwargs={...}, name="...", edge=False)
              --input-spec JSON|@FILE made from shapes: {"0": ["float32", [2, 3, 32, 32]], "lens": ["int64", [2], {"low": 1, "high": 33}]}
                                      further settings: "std" (1), "value" (constant), "batch" (axis, 0; null: none),
                                      "sequence" (axis that padding and silence cut; default: the longest behind the channels)
              Made inputs are random ones and the edges: zeros, tiny, large, padding, silence, batch 1, batch 2.
float64       the second run has every weight, input and constant of the model in float64: what the model is, without rounding. A model
              that turns to float32 on the way is told as "contaminated", one that refuses float64 as "failed"; both are recorded.
exit codes    0 written; 2 could not do it
"""


class Failure(Exception):
    """What ends a run: one line of what, why and a hint."""

    def __init__(self, what, why="", hint=""):
        Exception.__init__(self, what)
        self.parts = [part for part in (what, why, hint and "hint: " + hint) if part]


def text_of(value):
    if isinstance(value, BYTES):
        return value.decode("utf-8", "replace")
    try:
        return value if isinstance(value, TEXT) else TEXT(value)
    except UnicodeError:  # Python 2: a message in bytes
        return BYTES(value).decode("utf-8", "replace")


def say(text, stream=None):
    """A line on a stream of any encoding."""
    stream = stream or sys.stdout
    if sys.version_info[0] == 2:
        stream.write(text.encode("utf-8") + b"\n")
    else:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write((text + "\n").encode(encoding, "backslashreplace").decode(encoding))


def to_json(value):
    return text_of(json.dumps(value, sort_keys=True))


def reason_of(error):
    """An exception of foreign code in one line, with the place that raised it."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    foreign = [frame for frame in frames if os.path.basename(frame[0]) != os.path.basename(__file__.replace(".pyc", ".py"))]
    place = " (%s:%d)" % (os.path.basename(foreign[-1][0]), foreign[-1][1]) if foreign else ""
    lines = [line.strip() for line in text_of(error).splitlines() if line.strip()]
    message = lines[0] if lines else "no message"
    if len(message) > 240:
        message = message[:240].rpartition(" ")[0] + " ..."
    return "%s: %s%s" % (type(error).__name__, message, place)


# -- Facts of tensors

_indices_cache = {}


def sample_indices(count, samples):
    """Which elements of `count` stand for all: one of each of `samples` equal stretches, by a generator that any language can repeat."""
    if (count, samples) not in _indices_cache:
        import numpy
        state, indices, mask = count & 0xFFFFFFFFFFFFFFFF, [], 0xFFFFFFFFFFFFFFFF
        for k in range(samples):
            state = (6364136223846793005 * state + 1442695040888963407) & mask
            low, high = k * count // samples, (k + 1) * count // samples
            indices.append(low + (state >> 33) % (high - low))
        if len(_indices_cache) > 256:
            _indices_cache.clear()
        _indices_cache[count, samples] = numpy.array(indices, dtype=numpy.int64)
    return _indices_cache[count, samples]


def plain(tensor):
    """The same numbers in a dense tensor on the CPU."""
    tensor = tensor.detach()
    if getattr(tensor, "is_sparse", False) or "sparse" in str(tensor.layout):
        tensor = tensor.to_dense()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    for resolve in ("resolve_conj", "resolve_neg"):
        tensor = getattr(tensor, resolve, lambda: tensor)()  # noqa: B023
    return tensor.cpu().contiguous()


def dtype_name(tensor):
    return str(tensor.dtype).split(".")[-1]


def to_array(tensor):
    """(array that holds the numbers, name of the type, array that holds the bytes). Types numpy lacks are kept as float32."""
    import numpy
    import torch
    tensor = plain(tensor)
    name = dtype_name(tensor)
    if name == "bfloat16":
        array = tensor.float().numpy()
        return array, name, (array.view(numpy.uint32) >> 16).astype("<u2")
    if name == "float16":
        return tensor.float().numpy(), name, tensor.numpy()
    if name.startswith("float8"):
        return tensor.float().numpy(), name, tensor.view(torch.uint8).numpy()
    array = tensor.numpy()
    return array, name, array


def measure(array):
    """l2, max |x|, mean over the finite elements, and how many are not finite. Of complex numbers the modulus; the mean is of real parts."""
    import numpy
    if array.dtype.kind == "c":
        real, size = array.real.astype(numpy.float64), numpy.abs(array.astype(numpy.complex128))
    else:
        real = array.astype(numpy.float64)
        size = numpy.abs(real)
    finite = numpy.isfinite(size)
    count = int(finite.sum())
    bad = int(size.size - count)
    if bad:
        real, size = real[finite], size[finite]
    if not count:
        return 0.0, 0.0, 0.0, bad
    top = float(size.max())
    scale = top if top > 1e150 or 0.0 < top < 1e-150 else 1.0
    l2 = scale * float(numpy.sqrt(numpy.square(size / scale).sum()))
    return min(l2, LARGEST), top, float((real / scale).mean()) * scale, bad


def sha256_of(array):
    import numpy
    little = numpy.ascontiguousarray(array)
    if little.dtype.byteorder == ">" or (sys.byteorder == "big" and little.dtype.byteorder == "="):
        little = little.byteswap()
    return text_of(hashlib.sha256(little.tobytes()).hexdigest())


def facts_of(array, dtype, raw):
    l2, top, mean, bad = measure(array)
    return {"shape": to_json([int(size) for size in array.shape]), "dtype": dtype, "sha256": sha256_of(raw),
            "l2": l2, "max": top, "mean": mean, "nonfinite": bad}


def sha256_of_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return text_of(digest.hexdigest())


# -- Nested values

def is_tensor(value):
    import torch
    return isinstance(value, torch.Tensor)


def is_number(value):
    return isinstance(value, (bool, int, float)) or type(value).__name__ == "long"


def key_text(key):
    """A key as one step of a path: the signs that paths are made of are escaped."""
    text = text_of(key)
    for sign in "%/.":
        text = text.replace(sign, "%%%02X" % ord(sign))
    return text or "%00"


def children_of(value):
    """[(step, child)] of a container, None of anything else."""
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, (dict, list, tuple)):
        return [(name, getattr(value, name)) for name in sorted(value.__dataclass_fields__)]
    if isinstance(value, collections.OrderedDict) or (isinstance(value, dict) and sys.version_info >= (3, 7)):
        return [(key_text(key), child) for key, child in value.items()]
    if isinstance(value, dict):
        return [(key_text(key), value[key]) for key in sorted(value, key=text_of)]
    if isinstance(value, (list, tuple)):
        return [(TEXT(i), child) for i, child in enumerate(value)]
    return None


def flatten(value, path=""):
    """(path, tensor or number) of everything in a value, in order. A lone tensor has the path 0."""
    children = children_of(value)
    if children is None:
        return [(path or "0", value)] if is_tensor(value) or is_number(value) else []
    rows = []
    for step, child in children:
        rows += flatten(child, path + "." + step if path else step)
    return rows


def change_tensors(value, change):
    """The same nesting with change(tensor) in the place of every tensor."""
    if is_tensor(value):
        return change(value)
    if isinstance(value, dict):
        return type(value)((key, change_tensors(child, change)) for key, child in value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[change_tensors(child, change) for child in value])
    if isinstance(value, (list, tuple)):
        return type(value)([change_tensors(child, change) for child in value])
    return value


def outline(value, path):
    """The nesting of an argument as JSON: {"tensor": path}, {"list": [...]}, {"tuple": [...]}, {"dict": [[key, ...]]}, {"value": ...}."""
    if is_tensor(value):
        return {"tensor": path}
    if isinstance(value, dict):
        return {"dict": [[text_of(key), outline(child, path + "." + key_text(key))] for key, child in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [outline(child, "%s.%d" % (path, i)) for i, child in enumerate(value)]}
    return {"value": value if value is None or is_number(value) else text_of(value)}


def rebuild(tree, tensors):
    kind, content = list(tree.items())[0]
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return collections.OrderedDict((key, rebuild(child, tensors)) for key, child in content)
    if kind == "list":
        return [rebuild(child, tensors) for child in content]
    if kind == "tuple":
        return tuple(rebuild(child, tensors) for child in content)
    return content


# -- Files that are whole or not there

class NpzSink(object):
    """Members are written as they come; the attributes of all paths follow in one member of JSON."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        self.attributes = {}

    def put(self, path, array):
        import numpy
        data = io.BytesIO()
        numpy.lib.format.write_array(data, numpy.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
        info = zipfile.ZipInfo(path + ".npy", date_time=(1980, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        info.create_system = 3
        self.archive.writestr(info, data.getvalue())

    def describe(self, path, attributes):
        self.attributes.setdefault(path, {}).update(attributes)

    def finish(self):
        import numpy
        self.put("__attrs__", numpy.frombuffer(to_json(self.attributes).encode("utf-8"), dtype=numpy.uint8))
        self.archive.close()

    def abandon(self):
        self.archive.close()


class Hdf5Sink(object):
    """Plain groups, datasets and attributes; texts are UTF-8 of fixed length. The oldest file format, so that every library reads it."""

    COMPRESSED_FROM = 4096  # bytes; below, the bookkeeping of chunks costs more than it saves

    def __init__(self, path):
        import h5py
        self.h5py = h5py
        self.file = h5py.File(path, "w", libver="earliest")

    def put(self, path, array):
        packed = {}
        if array.nbytes >= self.COMPRESSED_FROM:
            packed = {"compression": "gzip", "shuffle": True}
        self.file.create_dataset(path, data=array, track_times=False, **packed)

    def describe(self, path, attributes):
        place = path or "/"
        target = self.file[place] if place in self.file else self.file.create_group(place)
        for name in sorted(attributes):
            value = attributes[name]
            if isinstance(value, TEXT):
                self._write_text(target, name, value)
            else:
                target.attrs[name] = value

    def _write_text(self, target, name, value):
        import numpy
        data = value.encode("utf-8")
        kind = self.h5py.h5t.C_S1.copy()
        kind.set_size(max(len(data), 1))
        kind.set_cset(self.h5py.h5t.CSET_UTF8)
        kind.set_strpad(self.h5py.h5t.STR_NULLPAD)
        space = self.h5py.h5s.create(self.h5py.h5s.SCALAR)
        attribute = self.h5py.h5a.create(target.id, name.encode("utf-8"), kind, space)
        attribute.write(numpy.array(data, dtype="S%d" % max(len(data), 1)), mtype=kind)

    def finish(self):
        self.file.close()

    def abandon(self):
        self.file.close()


def suffix_of(path):
    return os.path.splitext(path)[1].lower()


def has_h5py():
    try:
        import h5py  # noqa: F401
        return True
    except ImportError:
        return False


class Golden(object):
    """The file being written, under another name until commit()."""

    def __init__(self, path, force):
        if suffix_of(path) not in (".h5", ".hdf5", ".npz"):
            raise Failure("-o " + path, "the suffix says the form", "FILE.h5 or FILE.npz")
        if suffix_of(path) != ".npz" and not has_h5py():
            raise Failure("-o " + path, "h5py is not installed here", "-o " + os.path.splitext(path)[0] + ".npz needs only numpy")
        refuse_existing(path, force)
        self.path, self.temporary = path, temporary_for(path)
        try:
            self.sink = (NpzSink if suffix_of(path) == ".npz" else Hdf5Sink)(self.temporary)
        except (IOError, OSError) as error:
            raise Failure("cannot write " + path, reason_of(error))

    def put(self, path, array, attributes):
        self.sink.put(path, array)
        self.sink.describe(path, attributes)

    def describe(self, path, attributes):
        self.sink.describe(path, attributes)

    def commit(self):
        self.sink.finish()
        put_in_place(self.temporary, self.path)

    def abandon(self):
        try:
            self.sink.abandon()
        finally:
            if os.path.exists(self.temporary):
                os.remove(self.temporary)


def refuse_existing(path, force):
    if os.path.exists(path) and not force:
        raise Failure(path + " exists", "", "--force replaces it")


def temporary_for(path):
    folder, name = os.path.split(path)
    return os.path.join(folder, ".%s.%d.tmp%s" % (name, os.getpid(), suffix_of(path)))


def put_in_place(temporary, path):
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    if hasattr(os, "replace"):
        os.replace(temporary, path)
    else:
        os.rename(temporary, path)  # Python 2 runs where this replaces


# -- The model

def load_function(place, option):
    """What pkg.module:name or file.py:name names."""
    module_name, colon, name = place.rpartition(":")
    if not colon or not module_name or not name:
        raise Failure("%s %s" % (option, place), "no function is named", "pkg.module:name or file.py:name")
    try:
        if module_name.endswith(".py"):
            module = load_file(module_name)
        else:
            __import__(module_name)
            module = sys.modules[module_name]
    except Exception as error:
        raise Failure("%s %s" % (option, place), "importing it failed: " + reason_of(error),
                      "run it in the folder of the package, or name the folder with --path")
    found = module
    for step in name.split("."):
        if not hasattr(found, step):
            raise Failure("%s %s" % (option, place), "%s has no %s" % (module_name, name))
        found = getattr(found, step)
    return found


def load_file(path):
    if not os.path.isfile(path):
        raise IOError("there is no file " + path)
    name = os.path.splitext(os.path.basename(path))[0]
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if sys.version_info[0] == 2:
        import imp
        return imp.load_source(str(name), str(path))
    import importlib.util
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return module


def seed_all(seed):
    import numpy
    import torch
    random.seed(seed)
    numpy.random.seed(seed % (1 << 32))
    torch.manual_seed(seed)


def build_model(options):
    import torch
    factory = load_function(options.factory, "--factory")
    seed_all(options.seed)
    try:
        model = factory(**options.kwargs)
    except Exception as error:
        raise Failure("--factory " + options.factory, reason_of(error), "--kwargs '{...}' passes arguments; --traceback shows all")
    if not isinstance(model, torch.nn.Module):
        raise Failure("--factory " + options.factory, "it returned %s, no torch.nn.Module" % type(model).__name__)
    if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        model = model.module
    if options.checkpoint:
        load_weights(model, options)
    return model.train(options.train).to(options.device)


def read_checkpoint(options):
    import torch
    settings = {"map_location": "cpu"}
    try:
        if options.trust_checkpoint and "weights_only" in torch.load.__code__.co_varnames:
            settings["weights_only"] = False
        return torch.load(options.checkpoint, **settings)
    except Exception as error:
        hint = "torchferry convert makes it loadable; --trust-checkpoint runs what it holds" if "weights_only" in text_of(error) else ""
        raise Failure("cannot load " + options.checkpoint, reason_of(error), hint)


def load_weights(model, options):
    import torch
    state = read_checkpoint(options)
    for step in options.key.split(".") if options.key else []:
        if not isinstance(state, dict) or step not in state:
            held = ", ".join(sorted(text_of(key) for key in state)[:12]) if isinstance(state, dict) else type(state).__name__
            raise Failure("--key " + options.key, "there is no %s; it holds %s" % (step, held))
        state = state[step]
    if isinstance(state, torch.nn.Module):
        state = state.state_dict()
    if not isinstance(state, dict) or not state or not all(is_tensor(value) for value in state.values()):
        held = ", ".join(sorted(text_of(key) for key in state)[:12]) if isinstance(state, dict) else type(state).__name__
        raise Failure(options.checkpoint, "it is no state_dict; it holds " + held, "--key NAME says where the weights lie")
    state = collections.OrderedDict(
        (name[len(options.strip_prefix):] if name.startswith(options.strip_prefix) else name, value) for name, value in state.items())
    try:
        model.load_state_dict(state, strict=not options.no_strict)
    except Exception as error:
        wanted = set(model.state_dict())
        missing, unknown = sorted(wanted - set(state)), sorted(set(state) - wanted)
        why = reason_of(error)
        if missing or unknown:
            why = "; ".join("%d %s, such as %s" % (len(names), what, names[0])
                            for names, what in ((missing, "weights of the model are missing"), (unknown, "are unknown to it")) if names)
        raise Failure("the checkpoint does not fit the model", why, "--strip-prefix module. where a wrapper left one; --no-strict")


# -- Inputs

Case = collections.namedtuple("Case", "name edge args kwargs")


def as_tensor(value):
    import numpy
    import torch
    if isinstance(value, numpy.ndarray):
        return torch.from_numpy(numpy.array(value, order="C"))
    if isinstance(value, dict):
        return type(value)((key, as_tensor(child)) for key, child in value.items())
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)([as_tensor(child) for child in value])
    return value


def as_case(value, index):
    name, edge, args, kwargs = "input %d" % index, False, value, {}
    if isinstance(value, dict) and ("args" in value or "kwargs" in value):
        unknown = set(value) - {"args", "kwargs", "name", "edge"}
        if unknown:
            raise Failure("case %d" % index, "a case has args, kwargs, name and edge, not " + ", ".join(sorted(text_of(k) for k in unknown)))
        args, kwargs = value.get("args", ()), value.get("kwargs", {})
        name, edge = text_of(value.get("name", name)), bool(value.get("edge", False))
    elif isinstance(value, dict):
        args, kwargs = (), value
    if not isinstance(args, (tuple, list)):
        args = (args,)
    return Case(name, edge, tuple(as_tensor(list(args))), collections.OrderedDict(sorted((text_of(k), as_tensor(v)) for k, v in kwargs.items())))


def cases_of_names(arrays):
    """Cases from named arrays: 0, 1 ... by position, others by name, "CASE/NAME" for several cases."""
    groups = collections.OrderedDict()
    for name in arrays:
        case, slash, argument = name.rpartition("/")
        groups.setdefault(case, {})[argument] = arrays[name]
    cases = []
    for case, members in groups.items():
        positions = sorted((name for name in members if name.isdigit()), key=int)
        if [int(name) for name in positions] != list(range(len(positions))):
            raise Failure("--inputs", "positional arguments are numbered from 0, not " + ", ".join(positions))
        kwargs = {name: members[name] for name in members if not name.isdigit()}
        cases.append({"args": tuple(members[name] for name in positions), "kwargs": kwargs, "name": case or "input %d" % len(cases)})
    return cases


class GoldenFile(object):
    """Attributes and arrays of a golden, whatever its container."""

    def __init__(self, path):
        import numpy
        self.arrays, self.attributes = {}, {}
        if suffix_of(path) == ".npz":
            archive = numpy.load(path)
            self.attributes = json.loads(archive["__attrs__"].tobytes().decode("utf-8")) if "__attrs__" in archive.files else {}
            self.paths = [name for name in archive.files if name != "__attrs__"]
            self.read = lambda name: archive[name]
        else:
            import h5py
            file = h5py.File(path, "r")
            self.paths = []
            self._visit("", file)
            self.read = lambda name: file[name][()]

    def _visit(self, path, target):
        attributes = {}
        for name in target.attrs:
            value = target.attrs[name]
            attributes[text_of(name)] = text_of(value) if isinstance(value, (TEXT, BYTES)) else value.item()
        if attributes:
            self.attributes[path] = attributes
        if hasattr(target, "shape"):
            self.paths.append(path)
            return
        for name in target:
            self._visit(path + "/" + name if path else text_of(name), target[name])

    def is_golden(self):
        return self.attributes.get("", {}).get("kind") == "torch-golden"

    def case_indices(self):
        return sorted({int(path.split("/")[1]) for path in self.attributes if path.startswith("case/") and path.count("/") == 1})

    def case(self, index):
        import torch
        prefix = "case/%d/in/" % index
        attributes = self.attributes["case/%d" % index]
        tensors = {}
        for path in self.paths:
            if path.startswith(prefix):
                tensor = torch.from_numpy(self.read(path).copy() if self.read(path).shape else self.read(path).reshape(()))
                tensors[path[len(prefix):]] = tensor.to(getattr(torch, self.attributes[path]["dtype"]))
        tree = json.loads(attributes["structure"])
        return {"name": attributes["name"], "edge": bool(attributes["edge"]),
                "args": tuple(rebuild(child, tensors) for child in tree["args"]),
                "kwargs": {key: rebuild(child, tensors) for key, child in tree["kwargs"]}}


def inputs_from_file(path):
    import numpy
    import torch
    if suffix_of(path) in (".h5", ".hdf5", ".npz"):
        golden = GoldenFile(path)
        if golden.is_golden():
            return [golden.case(index) for index in golden.case_indices()]
        if suffix_of(path) != ".npz":
            raise Failure("--inputs " + path, "this HDF5 file is no golden", "FILE.npz with arrays named 0, 1 ... or by argument")
        archive = numpy.load(path)
        return cases_of_names(collections.OrderedDict((name, archive[name]) for name in archive.files))
    value = torch.load(path, map_location="cpu")
    return value if isinstance(value, list) else [value]


SPEC_SETTINGS = {"std", "low", "high", "value", "batch", "sequence"}


class InputSpec(object):
    """One made argument: type, shape, and how each kind of case fills it."""

    def __init__(self, name, row):
        if not isinstance(row, (list, tuple)) or not 2 <= len(row) <= 3 or not isinstance(row[1], (list, tuple)):
            raise Failure("--input-spec", "%s: a row is [\"type\", [sizes]] or [\"type\", [sizes], {settings}]" % name)
        self.name, self.dtype, self.shape = name, text_of(row[0]), [int(size) for size in row[1]]
        self.settings = dict(row[2]) if len(row) == 3 else {}
        unknown = sorted(set(self.settings) - SPEC_SETTINGS)
        if unknown:
            raise Failure("--input-spec", "%s: there is no setting %s" % (name, unknown[0]), ", ".join(sorted(SPEC_SETTINGS)))
        self.batch = self.settings.get("batch", 0 if self.shape else None)
        self.sequence = self.settings.get("sequence", self._longest())

    def _longest(self):
        if len(self.shape) <= 1:
            return None
        first = 2 if len(self.shape) >= 4 else 1
        return max(range(first, len(self.shape)), key=lambda axis: (self.shape[axis], axis))

    def make(self, kind, random_state, batch=None):
        import numpy
        import torch
        shape = list(self.shape)
        if batch is not None and self.batch is not None:
            shape[self.batch] = batch
        if "value" in self.settings:
            array = numpy.array(numpy.broadcast_to(numpy.array(self.settings["value"], dtype=numpy.float64), self.shape))
            if self.batch is not None:
                array = numpy.take(array, numpy.arange(shape[self.batch]) % self.shape[self.batch], axis=self.batch)
        elif self.dtype == "bool":
            array = random_state.randint(0, 2, size=shape) if kind != "zeros" else numpy.zeros(shape)
        elif "int" in self.dtype:
            low, high = self.settings.get("low", 0), self.settings.get("high", 2)
            array = random_state.randint(low, high, size=shape)
        else:
            array = self._fill(kind, random_state.standard_normal(shape) * self.settings.get("std", 1.0))
        if not hasattr(torch, self.dtype) or not isinstance(getattr(torch, self.dtype), torch.dtype):
            raise Failure("--input-spec", "%s: there is no type %s here" % (self.name, self.dtype))
        return torch.from_numpy(numpy.ascontiguousarray(array)).to(getattr(torch, self.dtype))

    def _fill(self, kind, array):
        import numpy
        if kind == "zeros":
            return numpy.zeros(array.shape)
        if kind == "tiny":
            # Down to the smallest numbers that float32 still holds with full precision, and below.
            return array * numpy.where(numpy.arange(array.size).reshape(array.shape) % 4 == 3, 1e-38, 1e-30)
        if kind == "large":
            return array * 1e3
        if kind in ("padding", "silence") and self.sequence is not None:
            size = array.shape[self.sequence]
            along = numpy.moveaxis(array, self.sequence, 0)
            if kind == "padding":
                along[size - size // 2:] = 0
            else:
                along[size // 4:size // 2] = 0
                along[3 * size // 4:] *= 1e-6
        return array


def made_cases(options):
    import numpy
    specs = [InputSpec(name, options.input_spec[name]) for name in sorted(options.input_spec)]
    kinds = [("normal %d" % i, False, "normal", None) for i in range(options.cases)]
    if not options.no_edge:
        kinds += [(kind, True, kind, None) for kind in ("zeros", "tiny", "large", "padding", "silence")]
        kinds += [("batch %d" % size, True, "normal", size) for size in (1, 2)]
    cases = []
    for index, (name, edge, kind, batch) in enumerate(kinds):
        random_state = numpy.random.RandomState((options.seed + 7919 * index) % (1 << 32))
        made = {spec.name: spec.make(kind, random_state, batch) for spec in specs}
        cases.append(dict(cases_of_names(made)[0], name=name, edge=edge))
    return cases


def find_cases(options):
    if options.input_spec:
        raw = made_cases(options)
    elif options.inputs and os.path.isfile(options.inputs):
        raw = inputs_from_file(options.inputs)
    elif options.inputs and ":" in options.inputs:
        function = load_function(options.inputs, "--inputs")
        seed_all(options.seed)
        try:
            raw = list(function())
        except Exception as error:
            raise Failure("--inputs " + options.inputs, reason_of(error))
    elif options.inputs:
        raise Failure("--inputs " + options.inputs, "there is no such file", "FILE.npz, FILE.pt or FILE.py:function")
    else:
        return []
    cases = [as_case(value, index) for index, value in enumerate(raw)]
    if not cases:
        raise Failure("--inputs " + text_of(options.inputs), "it holds no case")
    return cases


def arguments_of(case):
    """[(path, value)] of what a case passes: 0, 1 ..., then kw.NAME."""
    return [(TEXT(i), value) for i, value in enumerate(case.args)] + [("kw." + key_text(key), value) for key, value in case.kwargs.items()]


# -- Float64

def is_wide(dtype):
    return dtype in ("float64", "complex128")


def is_inexact(dtype):
    return dtype.startswith(("float", "bfloat", "complex"))


def widen(tensor):
    import torch
    name = dtype_name(tensor)
    if name.startswith("complex"):
        return tensor.to(torch.complex128)
    return tensor.double() if is_inexact(name) else tensor


def widen_model(model):
    """All weights to float64, in place: exact, and no second model in memory. Tensors kept as plain attributes follow."""
    import torch
    model.double()
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if is_tensor(value) and not isinstance(value, torch.nn.Parameter) and is_inexact(dtype_name(value)):
                setattr(module, name, widen(value))


class WideArithmetic(object):
    """While it lasts, numbers made in forward are float64 (windows, zeros, positions), and narrowing of a float64 tensor is told.

    A literal, torch.tensor(0.1), keeps the value that it has in float32: the function is the one that float32 computes.
    """

    NARROWING = ("float", "half", "bfloat16", "to", "type")

    def __init__(self, tell):
        self.tell = tell

    def __enter__(self):
        import torch
        self.default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        self.tensor = torch.tensor
        torch.tensor = self._literal
        self.methods = {}
        for name in self.NARROWING:
            if hasattr(torch.Tensor, name):
                self.methods[name] = torch.Tensor.__dict__.get(name)
                setattr(torch.Tensor, name, self._watched(name, getattr(torch.Tensor, name)))
        return self

    def __exit__(self, *error):
        import torch
        torch.set_default_dtype(self.default)
        torch.tensor = self.tensor
        for name, method in self.methods.items():
            if method is None:
                delattr(torch.Tensor, name)
            else:
                setattr(torch.Tensor, name, method)

    def _literal(self, data, *args, **kwargs):
        import numpy
        made = self.tensor(data, *args, **kwargs)
        if kwargs.get("dtype") is None and not is_tensor(data) and not isinstance(data, numpy.ndarray) and dtype_name(made) == "float64":
            made = self.tensor(data, *args, **dict(kwargs, dtype=dtype32())).to(made.dtype)
        return made

    def _watched(self, name, method):
        def watched(tensor, *args, **kwargs):
            result = method(tensor, *args, **kwargs)
            if is_tensor(result) and is_wide(dtype_name(tensor)) and is_inexact(dtype_name(result)) and not is_wide(dtype_name(result)):
                self.tell("%s() to %s" % (name, dtype_name(result)))
            return result
        return watched


def dtype32():
    import torch
    return torch.float32


# -- Running

class Recorder(object):
    """Hooks on all modules. What they see goes to the file at once; only attributes and outputs are kept."""

    def __init__(self, model, options, golden):
        self.options, self.golden = options, golden
        self.paths, self.stack = {}, []
        self.prefix = None  # where records go; None: nothing is recorded
        self.seen = []  # rows for --list
        self.handles = []
        self.narrowed = ""
        for path, module in model.named_modules():
            self.paths[id(module)] = text_of(path)
            try:
                self.handles += [module.register_forward_pre_hook(self._before), module.register_forward_hook(self._after)]
            except RuntimeError:  # ScriptModules of old versions take no hooks
                pass

    def begin(self, prefix, wide):
        self.prefix, self.wide = prefix, wide
        self.seq, self.calls, self.stack, self.narrowed = 0, {}, [], ""

    def tell_narrowing(self, what):
        if not self.narrowed:
            self.narrowed = "%s in %s" % (what, self.stack[-1] or "the model" if self.stack else "the model")

    def _before(self, module, inputs):
        self.stack.append(self.paths[id(module)])

    def _after(self, module, inputs, output):
        path = self.paths[id(module)]
        if self.stack:
            self.stack.pop()
        call = self.calls.get(path, 0)
        self.calls[path] = call + 1
        if self.prefix is None or not self._wanted(path):
            return
        for where, leaf in flatten(output):
            if is_tensor(leaf):
                self._record(module, path, call, where, leaf)

    def _wanted(self, path):
        match = lambda patterns: any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
        return not self.options.no_modules and (not self.options.include or match(self.options.include)) and not match(self.options.exclude)

    def _record(self, module, path, call, output, tensor):
        array, dtype, raw = to_array(tensor)
        if self.wide and is_inexact(dtype) and not is_wide(dtype) and not self.narrowed:
            self.narrowed = "%s gives %s" % (path or "the model", dtype)
        samples = 0 if self.options.full or array.size <= self.options.samples else self.options.samples
        attributes = dict(facts_of(array, dtype, raw), module=path, cls=text_of(type(module).__name__), call=call, output=output, sampled=samples)
        flat = array.reshape(-1)
        if self.golden is not None:
            self.golden.put("%s/mod/%05d" % (self.prefix, self.seq), flat[sample_indices(array.size, samples)] if samples else flat, attributes)
        self.seen.append(attributes)
        self.seq += 1

    def remove(self):
        for handle in self.handles:
            handle.remove()


class Session(object):
    """One model, its cases and its file."""

    def __init__(self, model, cases, options, golden):
        self.model, self.cases, self.options, self.golden = model, cases, options, golden
        self.keep_buffers()
        self.recorder = Recorder(model, options, golden)
        self.contaminated = ""
        self.failed = {}  # run -> [why a case failed]
        self.records = 0

    def keep_buffers(self):
        self.buffers = [(module, name, buffer, buffer.detach().clone())
                        for module in self.model.modules() for name, buffer in module._buffers.items() if buffer is not None]

    def restore_buffers(self):
        """Running statistics and counters as they were, also where forward puts another tensor in their place."""
        for module, name, buffer, value in self.buffers:
            buffer.data.copy_(value)
            if module._buffers.get(name) is not buffer:
                module._buffers[name] = buffer

    def forward(self, case, wide):
        """Flattened outputs of one forward, from the same state and seed each time."""
        import torch
        self.restore_buffers()
        seed_all(self.options.seed)

        def given(tensor):
            copy = tensor.detach().clone().to(self.options.device)
            return widen(copy) if wide else copy
        args = change_tensors(list(case.args), given)
        kwargs = {str(key): change_tensors(value, given) for key, value in case.kwargs.items()}
        with torch.no_grad():
            if wide:
                with WideArithmetic(self.recorder.tell_narrowing):
                    return flatten(self.model(*args, **kwargs))
            return flatten(self.model(*args, **kwargs))

    def run(self, index, case, run):
        wide = run == "f64"
        prefix = "case/%d/%s" % (index, run)
        self.recorder.begin(prefix, wide)
        try:
            outputs = [(path, to_array(self._tensor(value))) for path, value in self.forward(case, wide)]
            if not outputs:
                raise TypeError("forward returned no tensor")
        except Exception as error:
            if self.options.traceback:
                traceback.print_exc()
            why = reason_of(error)
            self.failed.setdefault(run, []).append("%s: %s" % (case.name, why))
            self.golden.describe(prefix, {"repeats": 0, "repeat_maxabs": 0.0, "error": why})
            return
        self.records = max(self.records, self.recorder.seq)
        self.note_contamination(case, outputs, wide)
        for path, (array, dtype, raw) in outputs:
            self.golden.put("%s/out/%s" % (prefix, path), array, facts_of(array, dtype, raw))
        self.golden.describe(prefix, {"repeats": self.options.repeats, "repeat_maxabs": self.repeat(case, outputs, wide), "error": ""})

    @staticmethod
    def _tensor(value):
        import numpy
        import torch
        return value if is_tensor(value) else torch.from_numpy(numpy.array(value))

    def note_contamination(self, case, outputs, wide):
        if not wide or self.contaminated:
            return
        narrow = [(path, dtype) for path, (_, dtype, _) in outputs if is_inexact(dtype) and not is_wide(dtype)]
        where = self.recorder.narrowed or (narrow and "output %s is %s" % narrow[0])
        if where:
            self.contaminated = where

    def repeat(self, case, outputs, wide):
        """The largest difference between this run and its repetitions, under the same hooks."""
        import numpy
        worst = 0.0
        for _ in range(1, self.options.repeats):
            self.recorder.begin(None, wide)
            again = self.forward(case, wide)
            for (_, (array, _, _)), (_, value) in zip(outputs, again):
                other = to_array(self._tensor(value))[0]
                if array.shape != other.shape:
                    return LARGEST
                kind = numpy.complex128 if array.dtype.kind == "c" else numpy.float64
                first, second = array.astype(kind), other.astype(kind)
                same = (first == second) | (numpy.isnan(first) & numpy.isnan(second))
                if not same.all():
                    worst = max(worst, float(numpy.nan_to_num(numpy.abs(first - second)[~same]).max()) or LARGEST)
        return min(worst, LARGEST)

    def write_inputs(self):
        for index, case in enumerate(self.cases):
            structure = {"args": [outline(value, TEXT(i)) for i, value in enumerate(case.args)],
                         "kwargs": [[key, outline(value, "kw." + key_text(key))] for key, value in case.kwargs.items()]}
            self.golden.describe("case/%d" % index, {"name": case.name, "edge": int(case.edge), "structure": to_json(structure)})
            for path, argument in arguments_of(case):
                for where, leaf in flatten({"_": argument}):
                    if is_tensor(leaf):
                        array, dtype, _ = to_array(leaf)
                        self.golden.put("case/%d/in/%s" % (index, path + where[1:]), array, {"dtype": dtype})

    def write_weights(self):
        for index, (name, tensor) in enumerate(self.model.state_dict().items()):
            if is_tensor(tensor):
                array, dtype, raw = to_array(tensor)
                self.golden.describe("weights/%05d" % index, dict(facts_of(array, dtype, raw), name=text_of(name)))

    def record(self):
        self.write_weights()
        self.write_inputs()
        for run in self.options.run:
            if run == "f64":
                self.restore_buffers()
                widen_model(self.model)
                self.keep_buffers()
            for index, case in enumerate(self.cases):
                self.run(index, case, run)
            self.check_run(run)
        self.recorder.remove()

    def check_run(self, run):
        failed = self.failed.get(run, [])
        if failed:
            more = " and %d more" % (len(failed) - 1) if len(failed) > 1 else ""
            say("recorder: warning: %s fails with %d of %d inputs: %s%s" % (run, len(failed), len(self.cases), failed[0], more), sys.stderr)
        if run == "f32" and len(failed) == len(self.cases):
            raise Failure("the model runs with none of the inputs", failed[0], "--traceback shows where")

    def f64_state(self):
        if "f64" not in self.options.run:
            return "failed: not asked for"
        failed = self.failed.get("f64", [])
        if len(failed) == len(self.cases):
            return "failed: " + failed[0]
        return "contaminated: " + self.contaminated if self.contaminated else "ok"


# -- The environment

def quietly(ask):
    try:
        return ask()
    except Exception:
        return None


def cpu_name():
    if os.path.exists("/proc/cpuinfo"):
        with io.open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return text_of(platform.processor() or platform.machine())


def environment(options):
    import numpy
    import torch
    cuda = options.device != "cpu"
    return {
        "torch": text_of(torch.__version__), "python": text_of(platform.python_version()), "numpy": text_of(numpy.__version__),
        "platform": text_of("%s-%s" % (platform.system(), platform.machine())), "cpu": cpu_name(), "device": options.device,
        "cpu_capability": quietly(lambda: torch.backends.cpu.get_cpu_capability()),
        "mkldnn": quietly(lambda: bool(torch.backends.mkldnn.is_available())),
        "threads": torch.get_num_threads(),
        "cuda_build": torch.version.cuda,
        "cudnn": quietly(lambda: torch.backends.cudnn.version()) if cuda else None,
        "gpu": quietly(lambda: text_of(torch.cuda.get_device_name(0))) if cuda else None,
        "cudnn_allow_tf32": quietly(lambda: bool(torch.backends.cudnn.allow_tf32)),
        "matmul_allow_tf32": quietly(lambda: bool(torch.backends.cuda.matmul.allow_tf32)),
        "float32_matmul_precision": quietly(lambda: text_of(torch.get_float32_matmul_precision())),
        "cudnn_benchmark": quietly(lambda: bool(torch.backends.cudnn.benchmark)),
        "cudnn_deterministic": quietly(lambda: bool(torch.backends.cudnn.deterministic)),
        "deterministic": quietly(lambda: bool(torch.are_deterministic_algorithms_enabled())),
        "autocast": quietly(lambda: bool(torch.is_autocast_enabled())),
        "default_dtype": str(torch.get_default_dtype()).split(".")[-1],
        "precision": options.precision,
    }


def set_precision(options):
    """ieee: no TF32 anywhere, no choice of algorithms by stopwatch. Versions without a switch have nothing to switch off."""
    import torch
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.precision != "ieee":
        return
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    if hasattr(torch.backends.cudnn, "allow_tf32"):
        torch.backends.cudnn.allow_tf32 = False
    if hasattr(torch.backends, "cuda") and hasattr(torch.backends.cuda, "matmul"):
        torch.backends.cuda.matmul.allow_tf32 = False
    if hasattr(torch, "set_float32_matmul_precision"):
        torch.set_float32_matmul_precision("highest")


def meta(options):
    return {
        "factory": options.factory, "kwargs": options.kwargs, "key": options.key, "strip_prefix": options.strip_prefix,
        "checkpoint": os.path.basename(options.checkpoint) if options.checkpoint else None,
        "checkpoint_sha256": sha256_of_file(options.checkpoint) if options.checkpoint else None,
        "inputs": options.inputs, "input_spec": options.input_spec, "seed": options.seed, "argv": options.argv,
    }


# -- Export

def dynamic_shapes_of(case):
    """Axis 0 of every tensor that has the size of the first one's is the batch."""
    import torch
    tensors = [leaf for _, leaf in flatten([case.args, case.kwargs]) if is_tensor(leaf) and leaf.dim()]
    size = tensors[0].shape[0] if tensors else None
    batch = torch.export.Dim("batch")
    mark = lambda tensor: {0: batch} if tensor.dim() and tensor.shape[0] == size else None
    args = change_tensors(list(case.args), mark)
    return tuple(args), dict((key, change_tensors(value, mark)) for key, value in case.kwargs.items())


def export(model, case, options):
    import torch
    if not hasattr(torch, "export") or tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 5):
        raise Failure("--export", "torch.export is too young in PyTorch " + torch.__version__, "run --export in the new environment, 2.5 or later")
    refuse_existing(options.export, options.force)
    settings = {}
    if options.dynamic_batch:
        args, kwargs = dynamic_shapes_of(case)
        import inspect
        names = [name for name, parameter in inspect.signature(model.forward).parameters.items()]
        settings["dynamic_shapes"] = dict(zip(names, args), **kwargs)
    given = lambda tensor: tensor.detach().clone().to(options.device)
    temporary = temporary_for(options.export)
    try:
        with torch.no_grad():
            program = torch.export.export(model, tuple(change_tensors(list(case.args), given)),
                                          {key: change_tensors(value, given) for key, value in case.kwargs.items()}, **settings)
        torch.export.save(program, temporary)
        put_in_place(temporary, options.export)
    except Exception as error:
        if options.traceback:
            traceback.print_exc()
        raise Failure("torch.export refused the model", reason_of(error),
                      "try it without --dynamic-batch" if options.dynamic_batch else "--traceback shows where")
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


# -- The command line

class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Failure(message, "", "--help shows all options")


def parse(argv):
    parser = Parser(prog="torchferry_recorder.py", description=__doc__.strip(), epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("model")
    model.add_argument("--factory", metavar="MODULE:NAME", help="what builds the model")
    model.add_argument("--kwargs", metavar="JSON", default="{}", help="keyword arguments of the factory")
    model.add_argument("--path", metavar="DIR", action="append", default=[], help="folder to import from; may be repeated (always: the current one)")
    model.add_argument("--checkpoint", metavar="FILE", default="", help="what torch.load reads; without it the factory's own weights count")
    model.add_argument("--key", metavar="PATH", default="", help="dotted path to the state_dict in the checkpoint: model_state")
    model.add_argument("--strip-prefix", metavar="TEXT", default="", help="prefix to take off the keys: module.")
    model.add_argument("--no-strict", action="store_true", help="missing and unknown keys are no error")
    model.add_argument("--trust-checkpoint", action="store_true", help="load it with weights_only=False: what it holds is run")
    model.add_argument("--train", action="store_true", help="training mode; buffers are put back before every run")
    model.add_argument("--model", metavar="NAME", default="", help="name in the golden (default: the class)")
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument("--inputs", metavar="WHERE", default="", help="FILE.npz, FILE.pt, a golden, or MODULE:NAME")
    inputs.add_argument("--input-spec", metavar="JSON", default="", help="make them from types and shapes; @FILE reads it from a file")
    inputs.add_argument("--cases", metavar="N", type=int, default=5, help="made inputs besides the edges (default 5)")
    inputs.add_argument("--no-edge", action="store_true", help="make no edge inputs")
    inputs.add_argument("--seed", metavar="N", type=int, default=0, help="of made inputs, and set before every forward (default 0)")
    run = parser.add_argument_group("run")
    run.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    run.add_argument("--run", metavar="LIST", default="f32,f64", help="f32, f64 or both (default)")
    run.add_argument("--precision", choices=("ieee", "default"), default="ieee",
                     help="ieee (default): TF32 off and cuDNN deterministic; default: as PyTorch has it")
    run.add_argument("--repeats", metavar="N", type=int, default=2, help="forwards of each input, to see the model's own noise (default 2)")
    run.add_argument("--threads", metavar="N", type=int, default=0, help="threads of PyTorch (default: its own choice)")
    modules = parser.add_argument_group("modules")
    modules.add_argument("--samples", metavar="N", type=int, default=DEFAULT_SAMPLES,
                         help="elements kept of a module's output (default %d)" % DEFAULT_SAMPLES)
    modules.add_argument("--full", action="store_true", help="keep all elements")
    modules.add_argument("--include", metavar="GLOB", action="append", default=[], help="only modules whose path matches")
    modules.add_argument("--exclude", metavar="GLOB", action="append", default=[], help="no modules whose path matches")
    modules.add_argument("--no-modules", action="store_true", help="outputs of the model only")
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", default="", help="FILE.h5 or FILE.npz (default: MODEL.golden.h5, .npz without h5py)")
    output.add_argument("--force", action="store_true", help="replace existing files")
    output.add_argument("--list", action="store_true", help="print what would be recorded; write nothing")
    output.add_argument("--export", metavar="FILE.pt2", default="", help="also export the model for torchferry replay (PyTorch 2.5 or later)")
    output.add_argument("--dynamic-batch", action="store_true", help="export with axis 0 as a free batch size")
    output.add_argument("--traceback", action="store_true", help="show where foreign code failed")
    output.add_argument("-q", "--quiet", action="store_true", help="say nothing when all is well")
    output.add_argument("--version", action="version", version="torchferry-recorder " + VERSION)
    options = parser.parse_args([str(argument) for argument in argv])
    options.argv = [text_of(argument) for argument in argv]
    return checked(options)


def json_option(text, option):
    if text.startswith("@"):
        try:
            with io.open(text[1:], encoding="utf-8") as file:
                text = file.read()
        except (IOError, OSError) as error:
            raise Failure("%s %s" % (option, text), reason_of(error))
    try:
        value = json.loads(text, object_pairs_hook=collections.OrderedDict)
    except ValueError as error:
        raise Failure(option + " is no JSON", text_of(error))
    if not isinstance(value, dict):
        raise Failure(option, "a JSON object is needed", "'{\"name\": ...}'")
    return value


def checked(options):
    if not options.factory:
        raise Failure("--factory is missing", "", "--factory net.py:build; --help shows all options")
    for name in ("factory", "inputs", "key", "strip_prefix", "checkpoint", "output", "export", "model", "device", "precision"):
        setattr(options, name, text_of(getattr(options, name)))
    options.kwargs = {str(key): value for key, value in json_option(text_of(options.kwargs), "--kwargs").items()}
    options.input_spec = json_option(text_of(options.input_spec), "--input-spec") if options.input_spec else {}
    if options.inputs and options.input_spec:
        raise Failure("--inputs and --input-spec exclude each other")
    if options.checkpoint and not os.path.isfile(options.checkpoint):
        raise Failure("--checkpoint " + options.checkpoint, "there is no such file")
    options.run = [run for run in text_of(options.run).split(",") if run]
    if not options.run or set(options.run) - {"f32", "f64"}:
        raise Failure("--run", "runs are f32 and f64", "--run f32,f64")
    options.run = [run for run in ("f32", "f64") if run in options.run]  # f64 widens the model in place, so it comes last
    for name in ("repeats", "samples", "cases"):
        if getattr(options, name) < 1:
            raise Failure("--%s %d" % (name, getattr(options, name)), "a number from 1 is needed")
    if not (options.inputs or options.input_spec or options.list):
        raise Failure("the inputs are missing", "", "--inputs or --input-spec; --help shows their forms")
    return options


def prepare(options):
    import torch
    sys.path[:0] = options.path + [""]
    if options.device == "cuda" and not torch.cuda.is_available():
        raise Failure("--device cuda", "this PyTorch sees no GPU", "--device cpu")
    set_precision(options)


def print_list(model, cases, options):
    if not cases:
        for path, module in model.named_modules():
            say("%-40s %s" % (path or "(the model)", type(module).__name__))
        return
    recorder = Recorder(model, options, None)
    recorder.begin("", False)
    session = Session.__new__(Session)
    session.model, session.options, session.recorder, session.buffers = model, options, recorder, []
    try:
        session.forward(cases[0], False)
    except Exception as error:
        raise Failure("the model does not run with %s" % cases[0].name, reason_of(error), "--traceback shows where")
    for row in recorder.seen:
        name = row["module"] or "(the model)"
        say("%-40s call %d  output %-6s %-10s %-20s %s" % (name, row["call"], row["output"], row["dtype"], row["shape"], row["cls"]))


def record(model, cases, options, golden):
    session = Session(model, cases, options, golden)
    env = environment(options)
    session.record()
    golden.describe("", {
        "layout": LAYOUT, "kind": "torch-golden", "writer": "torchferry-recorder " + VERSION,
        "model": options.model or text_of(type(model).__name__), "env": to_json(env), "meta": to_json(meta(options)),
        "training": int(options.train), "f64": session.f64_state(), "samples": 0 if options.full else options.samples})
    golden.commit()
    if not options.quiet:
        say("%s: %d case%s, %s, %d module outputs each; f64 %s" % (
            golden.path, len(cases), "" if len(cases) == 1 else "s", " and ".join(options.run), session.records, session.f64_state()))


def work(argv):
    options = parse(argv)
    prepare(options)
    model = build_model(options)
    cases = find_cases(options)
    if options.list:
        return print_list(model, cases, options)
    if options.export:
        export(model, cases[0], options)
        if not options.output:
            return None
    name = options.model or text_of(type(model).__name__)
    golden = Golden(options.output or name + (".golden.h5" if has_h5py() else ".golden.npz"), options.force)
    try:
        record(model, cases, options, golden)
    except BaseException:
        golden.abandon()
        raise
    return None


def main(argv=None):
    """Runs a command line; returns the exit code."""
    try:
        import torch  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        if not {"-h", "--help", "--version"} & set(sys.argv[1:] if argv is None else argv):
            say("recorder: error: %s; run this with the Python that runs the model" % text_of(error), sys.stderr)
            return 2
    try:
        work(sys.argv[1:] if argv is None else argv)
        return 0
    except Failure as failure:
        say("recorder: error: " + "; ".join(text_of(part).replace("\n", " ") for part in failure.parts), sys.stderr)
        return 2
    except (IOError, OSError, MemoryError) as error:
        say("recorder: error: " + reason_of(error), sys.stderr)
        return 2
    except UnicodeError as error:
        say("recorder: error: a name does not fit the encoding of this system; %s; hint: LC_ALL=C.UTF-8" % text_of(error), sys.stderr)
        return 2
    except KeyboardInterrupt:
        say("recorder: interrupted", sys.stderr)
        return 130


def stop(number, frame):
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGTERM, stop)  # as an exception, so that nothing half-written stays
    sys.exit(main())
