"""The oracle: what a converted checkpoint must hold, compared with what PyTorch 2.x loads from it.

The truth lies beside every checkpoint as `<case>.expected.json` and `.npz`, written by the old PyTorch process from its live objects.
This module finds the data and the binary, runs it, loads sidecars and compares them with loaded objects, bit for bit.

    python ferry_oracle.py      corrupts expectations one by one and sees every comparison fail

Environment: TORCHFERRY (the binary), TORCHFERRY_SHARED (the data; else ../shared beside the source tree).
"""
import ast
import collections
import concurrent.futures
import fnmatch
import importlib.util
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import traceback

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = SOURCE / "fixtures"
SHARED = pathlib.Path(os.environ.get("TORCHFERRY_SHARED") or SOURCE.parent / "shared")

# What a sidecar says about the live object that its file does not hold (NOT-IN-THE-FILE.tsv), by case and path.
# `bare_storage` is the other way round: the file holds `s`, the sidecar does not.
NOT_IN_THE_FILE = {"missing_class_instances": {"slots", "getstate.secret", "reduce"}}
NOT_IN_THE_SIDECAR = {"bare_storage": {"s"}}
# Traces whose attributes 1.4 sorted by name; the sidecar has the order of the live module.
SORTED = ("ts_trace", "ts_extra_files")


# ---------------------------------------------------------------------------------------------------------------- cases and the tool

class Case:
    """One checkpoint with its sidecar. `group` is the row of the summary table."""

    def __init__(self, sidecar, group):
        self.sidecar = pathlib.Path(sidecar)
        self.group = group
        self.name = self.sidecar.name[:-len(".expected.json")]
        self.label = "%s/%s" % (group, self.name)

    def load(self):
        import numpy
        self.truth = json.loads(self.sidecar.read_text(encoding="utf-8"))
        self.file = self.sidecar.parent / self.truth["file"]
        self.tree, self.tensors = self.truth["tree"], self.truth["tensors"]
        if self.name in SORTED and self.truth["writer"]["torch"].startswith("1.4."):
            self.tree["any_order"] = True
        npz = self.sidecar.with_name(self.name + ".expected.npz")
        self.arrays = dict(numpy.load(npz, allow_pickle=False)) if npz.exists() else {}
        return self


def cases(pattern="*"):
    """All cases of the shared corpus and of fixtures/, by writing version, whose name fits."""
    found = []
    for origin, root in (("corpus", SHARED / "corpus" / "written-by-torch"), ("fixtures", FIXTURES)):
        for sidecar in sorted(root.glob("*/*.expected.json")):
            case = Case(sidecar, "%s/%s" % (origin, sidecar.parent.name))
            if fnmatch.fnmatch(case.name, pattern):
                found.append(case)
    return found


def numerics(pattern):
    """Recorded training states of the shared corpus and of fixtures/."""
    return [p for root in (SHARED / "corpus" / "numerics", FIXTURES / "numerics") for p in sorted(root.glob(pattern))]


def binary():
    path = os.environ.get("TORCHFERRY")
    if path:
        return path
    for preset in ("release", "dev", "no-torch"):
        if (SOURCE / "build" / preset / "torchferry").exists():
            return str(SOURCE / "build" / preset / "torchferry")
    sys.exit("no torchferry binary: set TORCHFERRY")


def run_tool(*arguments, timeout=120):
    """(exit status, message): a negative status is a signal, None a time-out."""
    try:
        done = subprocess.run([binary()] + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, "time-out after %d s" % timeout
    text = (done.stderr + done.stdout).decode("utf-8", "replace")
    return done.returncode, " ".join(text.split())[:300]


def convert(source, target, *options, timeout=120):
    return run_tool("convert", source, "-o", target, "--no-sync", *options, timeout=timeout)


def load_safely(path):
    import torch
    return torch.load(path, weights_only=True, mmap=True)


# ---------------------------------------------------------------------------------------------------------------- running many checks

def _worker_start():
    import torch
    torch.set_num_threads(1)


def _guarded(job):
    check, item = job
    try:
        return check(item)
    except Exception:
        return {"label": getattr(item, "label", str(item)), "group": getattr(item, "group", "?"),
                "failures": ["oracle: " + traceback.format_exc(limit=-2).strip().replace("\n", " | ")]}


def run_checks(check, items):
    """Runs check(item) -> {label, group, failures, skipped?} in two workers; torch is imported once in each."""
    if importlib.util.find_spec("torch") is None:
        print("torch is missing: nothing compared")
        sys.exit(77)
    # Not multiprocessing.Pool: it waits for ever for what a worker that crashed had to do.
    with concurrent.futures.ProcessPoolExecutor(2, initializer=_worker_start) as pool:
        return list(pool.map(_guarded, [(check, i) for i in items], chunksize=4))


def report(results):
    """Prints failures, the table and the last line; returns the exit status."""
    rows = collections.OrderedDict()
    for r in results:
        for failure in r["failures"][:1]:
            more = len(r["failures"]) - 1
            print("FAIL %s: %s%s" % (r["label"], failure, " (and %d more)" % more if more else ""))
        row = rows.setdefault(r["group"], [0, 0, 0])
        row[2 if r.get("skipped") else 1 if r["failures"] else 0] += 1
    total = [sum(row[i] for row in rows.values()) for i in range(3)]
    print("\n%-28s %7s %7s" % ("group", "passed", "total"))
    for name, row in list(rows.items()) + [("all", total)]:
        print("%-28s %7d %7d" % (name, row[0], row[0] + row[1]))
    if not results:
        print("no cases found")
    print("\n%d passed, %d failed%s" % (total[0], total[1], ", %d skipped" % total[2] if total[2] else ""))
    return 1 if total[1] or not results else 0


# ---------------------------------------------------------------------------------------------------------------- values of tensors

def bits(tensor):
    """The elements of a tensor in order, as bytes."""
    import torch
    flat = tensor.detach().contiguous().reshape(-1)
    flat = flat.as_strided((flat.numel(),), (1,), flat.storage_offset())  # one element counts as contiguous with any stride
    return b"" if flat.numel() == 0 else flat.view(torch.uint8).numpy().tobytes()


def same_values(record, case, got):
    """True when `got` holds exactly the recorded elements."""
    import torch
    if "value" not in record:                        # a dtype without a numpy form: its bytes stand in the original
        return bits(got) in case.file.read_bytes()
    array = case.arrays[record["value"]]
    array = array.astype(array.dtype.newbyteorder("<"), order="C")
    if array.dtype.itemsize == got.element_size():
        return array.tobytes() == bits(got)
    if got.dtype == torch.bfloat16:                  # widened by appending 16 zero bits
        return array.tobytes() == bits(got.detach().contiguous().reshape(-1).view(torch.int16).to(torch.int32) << 16)
    return array.tobytes() == bits(got.detach().to(torch.float32))           # fp8, widened to float32


def dtype_name(tensor):
    return str(tensor.dtype).replace("torch.", "")


def hull(tensor):
    """First and last element of its storage that a tensor refers to (None when it has no elements)."""
    if tensor.numel() == 0:
        return None
    ends = [(n - 1) * s for n, s in zip(tensor.shape, tensor.stride())]
    return tensor.storage_offset() + sum(e for e in ends if e < 0), tensor.storage_offset() + sum(e for e in ends if e > 0)


# ---------------------------------------------------------------------------------------------------------------- trees

def text_of(node):
    """A sidecar string as Python 3 sees it: Python 2 bytes are utf-8, else latin1."""
    if isinstance(node, dict) and "$py2str" in node:
        try:
            return node["$py2str"].encode("latin1").decode("utf-8")
        except UnicodeError:
            return node["$py2str"]
    if isinstance(node, dict) and "$unicode" in node:
        return node["$unicode"]
    return node if isinstance(node, str) else None


def items_of(node):
    """{text key: value node} of a `$dict` node; other keys are left out."""
    return {text_of(k): v for k, v in node["$dict"] if text_of(k) is not None}


def number_of(text):
    return float(text) if text in ("nan", "inf", "-inf") else float.fromhex(text)


OPAQUE = object()


def plain_key(node):
    """The Python value that a key, or another hashable sidecar node, becomes."""
    if not isinstance(node, dict):
        return node
    if text_of(node) is not None:
        return text_of(node)
    if "$float" in node:
        return number_of(node["$float"])
    for tag in ("$int", "$long"):
        if tag in node:
            return int(node[tag])
    if "$numpy_scalar" in node or "$enum" in node:
        return plain_key(node["value"])
    if "$tuple" in node:
        return tuple(plain_key(n) for n in node["$tuple"])
    if "$bytes" in node:
        return bytes.fromhex(node["$bytes"])
    if "$global" in node:
        return node["$global"]
    return OPAQUE


def seconds_of(text):
    """str(timedelta) in seconds."""
    m = re.fullmatch(r"(?:(-?\d+) days?, )?(\d+):(\d+):(\d+)(?:\.(\d+))?", text)
    days, hours, minutes, seconds = (int(x or 0) for x in m.groups()[:4])
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + float("0." + (m.group(5) or "0"))


class Comparison:
    """Walks a sidecar tree and a loaded object together. `failures` is empty when they say the same.

    layout "keep": tensors equal in every respect. layout "clean": the tree was rewritten by the caller; strides may be compacted, storages
    must not be larger than what their tensors reach. Nodes that only a rewritten tree has:
    {"$number": n} a number or a tensor of it, {"$step": n} a 0-dim tensor of it, {"$one_of": [nodes]}; a `$dict` with "more": true may
    have more keys in the file, one with "any_order": true another order.
    """

    def __init__(self, case, layout="keep"):
        self.case, self.layout, self.failures = case, layout, []
        self.not_in_file = NOT_IN_THE_FILE.get(case.name, set())
        self.not_in_sidecar = NOT_IN_THE_SIDECAR.get(case.name, set())
        self.targets, self.met, self.compared = {}, {}, []
        self._index(case.tree, "")

    def run(self, loaded, tree=None):
        self.value(self.case.tree if tree is None else tree, loaded, "")
        self._sharing()
        return self.failures

    def fail(self, path, text, *values):
        self.failures.append("%s: %s" % (path or "(root)", text % tuple(repr(v)[:80] for v in values)))

    # -- references: `$ref` names the path of the node where the same object was met first

    def _index(self, node, path):
        if isinstance(node, list):
            for n in node:
                self._index(n, path)
        if not isinstance(node, dict):
            return
        self.targets.setdefault(path, node)
        for tag in ("$list", "$tuple", "$set", "$ndarray_object"):
            for i, n in enumerate(node.get(tag, ())):
                self._index(n, self.join(path, i))
        for key, n in node.get("$dict", ()):
            self._index(n, self.join(path, plain_key(key)))
        if isinstance(node.get("state_dict"), dict):     # of a whole module or optimizer, at the same path
            self._index(node["state_dict"], path)
        if "attributes" in node:
            self._index(node["attributes"], path)
        if isinstance(node.get("state"), dict):
            self._index(node["state"], path)

    @staticmethod
    def join(path, key):
        return "%s.%s" % (path, key) if path else str(key)

    # -- values

    def value(self, node, got, path):
        if path in self.not_in_file:
            return self.opaque(node, got, path)
        if isinstance(node, dict):
            tag = next(k for k in node if k.startswith("$"))
            self.met[id(node)] = got
            return getattr(self, "on_" + tag[1:].replace(".", "_"))(node, got, path)
        if type(got) is not type(node) or got != node:
            self.fail(path, "is %s, was %s", got, node)

    def exactly(self, got, want, path):
        if type(got) is not type(want) or got != want:
            self.fail(path, "is %s, was %s", got, want)

    def opaque(self, node, got, path):
        """Of something whose form is free only the tensors count: each must be there."""
        from_file = list(tensors_in(got))
        for index in tensor_indices(node):
            record = self.case.tensors[index]
            twins = [t for t in from_file if list(t.shape) == record["shape"] and dtype_name(t) == record["dtype"]
                     and same_values(record, self.case, t)]
            if twins:
                self.compared.append((index, twins[0]))
            else:
                self.fail(path, "tensor %s is not there", record["path"])

    def on_one_of(self, node, got, path):
        tries = []
        for option in node["$one_of"]:
            before, self.failures = self.failures, []
            self.value(option, got, path)
            mine, self.failures = self.failures, before
            if not mine:
                return
            tries.append(mine)
        self.failures += min(tries, key=len)

    def on_number(self, node, got, path):
        import torch
        if isinstance(got, torch.Tensor):
            got = got.item() if got.numel() == 1 else got
        if not isinstance(got, (int, float)) or got != node["$number"]:
            self.fail(path, "is %s, was %s", got, node["$number"])

    def on_step(self, node, got, path):
        import torch
        if not isinstance(got, torch.Tensor) or got.dim() != 0:
            return self.fail(path, "is %s, should be a 0-dim tensor", got)
        self.on_number({"$number": node["$step"]}, got, path)

    def on_float(self, node, got, path):
        want = number_of(node["$float"])
        if type(got) is not float or struct.pack("<d", got) != struct.pack("<d", want):
            if not (want != want and type(got) is float and got != got):
                self.fail(path, "is %s, was %s", got, want)

    def on_complex(self, node, got, path):
        self.exactly(got, complex(*(number_of(p) for p in node["$complex"])), path)

    def on_int(self, node, got, path):
        self.exactly(got, plain_key(node), path)

    on_long = on_py2str = on_unicode = on_bytes = on_int

    def on_bytearray(self, node, got, path):
        self.exactly(got, bytearray.fromhex(node["$bytearray"]), path)

    def on_numpy_scalar(self, node, got, path):
        want = node["value"]
        if isinstance(want, dict):
            return self.value(want, got, path)
        kind = re.sub(r"[^a-zA-Z]", "", node["$numpy_scalar"])
        if kind.startswith("float"):
            want = float(want)
        self.exactly(got, want, path)

    def on_enum(self, node, got, path):
        self.value(node["value"], got, path)

    def on_global(self, node, got, path):
        def normal(name):
            return re.sub(r"^(__builtin__|builtins)\.", "", name)
        if not isinstance(got, str) or normal(got) != normal(node["$global"]):
            self.fail(path, "is %s, should be the name %s", got, node["$global"])

    def on_torch(self, node, got, path):
        if str(got) != node["$torch"] or type(got).__name__ != node["type"]:
            self.fail(path, "is %s, was %s", got, node["$torch"])

    def on_torch_Size(self, node, got, path):
        import torch
        self.exactly(got, torch.Size(node["$torch.Size"]), path)

    def on_ref(self, node, got, path):
        target = self.targets.get(node["$ref"])
        if target is None:
            return self.fail(path, "the sidecar has no %s", node["$ref"])
        if id(target) not in self.met:               # met for the first time where wrappers were left out
            return self.value(target, got, path)
        first = self.met[id(target)]
        if first is not got and isinstance(first, (list, dict, set)):
            self.fail(path, "was the same object as %s", node["$ref"])

    def on_list(self, node, got, path):
        self.sequence(node["$list"], got, path, list)

    def on_tuple(self, node, got, path):
        # a named tuple of an unknown class may come back as a tuple or a list
        self.sequence(node["$tuple"], got, path, (tuple, list) if "class" in node else tuple)

    def sequence(self, nodes, got, path, kind):
        if not isinstance(got, kind) or len(got) != len(nodes):
            return self.fail(path, "is %s, had %s items", got, len(nodes))
        for i, (n, g) in enumerate(zip(nodes, got)):
            self.value(n, g, self.join(path, i))

    def on_set(self, node, got, path):
        self.exactly(got, {plain_key(n) for n in node["$set"]}, path)

    def on_dict(self, node, got, path):
        cls = node.get("class", "builtins.dict")
        want_type = {"collections.OrderedDict": (collections.OrderedDict,), "collections.Counter": (collections.Counter,),
                     "collections.defaultdict": (dict,), "builtins.dict": (dict,)}.get(cls, (dict, collections.OrderedDict))
        if type(got) not in want_type:
            return self.fail(path, "is a %s, was a %s", type(got).__name__, cls)
        pairs = [(plain_key(k), n) for k, n in node["$dict"]
                 if plain_key(k) in got or self.join(path, plain_key(k)) not in self.not_in_file]
        names = [k for k, _ in pairs]
        keys = [k for k in got if self.join(path, k) not in self.not_in_sidecar]
        if node.get("more"):
            keys = [k for k in keys if k in set(names)]
        if OPAQUE in names:
            names = keys = None
        if node.get("any_order") and names is not None and set(keys) == set(names):
            keys = names
        if names is not None and (len(keys) != len(names) or any(type(a) is not type(b) or a != b for a, b in zip(keys, names))):
            lost, new = [n for n in names if n not in keys], [k for k in keys if k not in names]
            return self.fail(path, "keys differ: %s missing, %s new, else their order", lost, new)
        for key, n in pairs:
            self.value(n, got[key], self.join(path, key))
        attributes = items_of(node["attributes"]) if "attributes" in node else {}
        if "_metadata" in attributes:
            if not hasattr(got, "_metadata"):
                self.fail(path, "lost _metadata")
            else:
                self.value(attributes["_metadata"], got._metadata, self.join(path, "_metadata"))

    # -- numpy

    def on_ndarray(self, node, got, path):
        import numpy
        import torch
        array = self.case.arrays[node["$ndarray"]]
        if array.dtype.kind in "SU":
            def texts(x):
                return [texts(i) for i in x] if isinstance(x, list) else x.decode("latin1") if isinstance(x, bytes) else x
            return None if texts(got) == texts(array.tolist()) else self.fail(path, "is %s, was %s", got, array.tolist())
        if array.dtype.kind == "V":                  # structured: any exact form
            rows = [tuple(r) for r in array.reshape(-1).tolist()]
            if isinstance(got, dict):
                got = list(zip(*(c.tolist() if isinstance(c, torch.Tensor) else c for c in got.values())))
            same = isinstance(got, list) and [tuple(r.values()) if isinstance(r, dict) else tuple(r) for r in got] == rows
            return None if same else self.fail(path, "is %s, was %s", got, rows)
        if not isinstance(got, torch.Tensor):
            return self.fail(path, "is a %s, was an array", type(got).__name__)
        native = numpy.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).reshape(array.shape)
        if dtype_name(got) == native.dtype.name and bits(got) == native.tobytes() and tuple(got.shape) == native.shape:
            return None
        if native.dtype.kind == "u" and got.dtype == torch.int64 and numpy.array_equal(got.numpy(), native):
            return None                              # unsigned types that torch had not before 2.3
        return self.fail(path, "is %s, was %s", got, native)

    def on_ndarray_object(self, node, got, path):
        self.value({"$list": node["$ndarray_object"]}, got, path)

    # -- objects that weights_only refuses

    def on_module(self, node, got, path):
        """A whole module is its state_dict(). In Python 2 the order of what that makes is one of hashes."""
        if self.case.truth.get("writer", {}).get("python", "3").startswith("2"):
            node = unordered(node)
        self.value(node["state_dict"], got, path)

    on_scheduler = on_module

    def on_optimizer(self, node, got, path):
        """A whole optimizer is its state_dict(). Before 1.6 that named parameters by their ids, which no file holds: by position, then."""
        self.on_module({"state_dict": numbered(node["state_dict"])}, got, path)

    def on_object(self, node, got, path):
        name = node["$object"]
        last = name.rsplit(".", 1)[-1]
        if last == "GradScaler":
            return self.scaler(items_of(node["state"]), got, path)
        if name.startswith("torch.optim.lr_scheduler."):
            rest = [[k, n] for k, n in node["state"]["$dict"] if text_of(k) != "optimizer"]
            return self.value({"$dict": rest}, got, path)
        if "bound_method" in node:
            if not isinstance(got, str) or not got.endswith(node["bound_method"]):
                self.fail(path, "is %s, should name %s", got, node["bound_method"])
        elif name.startswith("omegaconf."):
            self.omegaconf(last, items_of(node["state"]), got, path)
        elif "state" in node:
            self.value(node["state"], got, path)
        elif last in ("slice", "range"):
            numbers = list(ast.literal_eval(node["repr"][len(last):].replace("(", "[").replace(")", "]")))
            self.exactly(got, numbers + [1] * (3 - len(numbers)), path)
        elif last in ("datetime", "date"):
            self.exactly(got, node["str"].replace(" ", "T", 1), path)
        elif last == "timedelta":
            self.on_number({"$number": seconds_of(node["str"])}, got, path)
        elif name == "functools.partial":
            self.partial(node["repr"], got, path)
        elif name.startswith("numpy.dtype"):
            if not isinstance(got, str):
                self.fail(path, "is %s, should be text", got)
        elif last == "TorchVersion":
            self.exactly(got, ast.literal_eval(node["repr"]), path)
        elif last == "_SpecialForm":
            self.exactly(got, node["repr"], path)
        elif "str" in node:                          # paths, UUID, Decimal
            self.exactly(got, node["str"], path)
        else:
            self.fail(path, "the oracle does not know %s", name)

    def scaler(self, state, got, path):
        """A GradScaler is its state_dict(), whose values were tensors in the live object."""
        def number(node):
            if isinstance(node, dict) and "$tensor" in node:
                return self.case.arrays[self.case.tensors[node["$tensor"]]["value"]].item()
            return plain_key(node)
        fields = ["_scale", "_growth_factor", "_backoff_factor", "_growth_interval", "_growth_tracker"]
        names = ["scale"] + [f.lstrip("_") for f in fields[1:4]] + ["_growth_tracker"]
        self.exactly(got, {name: number(state[field]) for name, field in zip(names, fields)}, path)

    def partial(self, text, got, path):
        if not isinstance(got, dict) or set(got) != {"func", "args", "keywords"}:
            return self.fail(path, "is %s, was a partial", got)
        known = re.match(r"functools\.partial\(<(?:function|class|built-in function) '?([\w.]+)'?[^>]*>(.*)\)$", text)
        if not known:                                # Python 2 shows only an address
            return None
        function, rest = known.groups()
        keywords = ["%s=%r" % kv for kv in got["keywords"].items()]
        positional = [repr(a) for a in got["args"]]
        if got["func"].rsplit(".", 1)[-1] != function.rsplit(".", 1)[-1] or ", ".join([""] + positional + keywords) != rest:
            return self.fail(path, "is %s, was %s", got, text)

    def omegaconf(self, last, state, got, path):
        """Configs become what they hold; a DictConfig may also be its state as it is."""
        if last == "ListConfig":
            return self.value(state["_content"], got, path)
        if last == "DictConfig" and not (isinstance(got, dict) and "_content" in got):
            return self.value(state["_content"], got, path)
        if last.endswith("Node") and not (isinstance(got, dict) and "_val" in got):
            return self.value(state["_val"], got, path)
        for key, n in state.items():
            if not isinstance(got, dict) or key not in got:
                return self.fail(path, "%s lacks %s", last, key)
            self.value(n, got[key], self.join(path, key))

    # -- tensors

    def on_tensor(self, node, got, path):
        import torch
        record = self.case.tensors[node["$tensor"]]
        if not isinstance(got, torch.Tensor):
            return self.fail(path, "is a %s, was a tensor", type(got).__name__)
        seen = dict(dtype=dtype_name(got), shape=list(got.shape), requires_grad=got.requires_grad, device=str(got.device),
                    parameter=isinstance(got, torch.nn.Parameter), layout=str(got.layout))
        want = dict(dtype=record["dtype"].replace("torch.", ""), shape=record["shape"], requires_grad=record["requires_grad"], device="cpu",
                    parameter=record["class"].endswith("Parameter"), layout=record["layout"])
        for what in want:
            if seen[what] != want[what]:
                return self.fail(path, what + " is %s, was %s", seen[what], want[what])
        if got.layout != torch.strided:
            return self.sparse(record, got, path)
        lazy = bool(record.get("is_conj") or record.get("is_neg")) and "value" in record and not self.writer_drops_bits()
        if lazy and (self.layout == "keep") != (got.is_conj() or got.is_neg()):
            return self.fail(path, "conj %s, neg %s in layout %s", got.is_conj(), got.is_neg(), self.layout)
        self.window(record, got, path)
        if "qscheme" in record:
            return self.quantized(node, record, got, path)
        dropped = (record.get("is_conj") or record.get("is_neg")) and not lazy
        if not dropped and not same_values(record, self.case, got.resolve_conj().resolve_neg()):
            return self.fail(path, "values differ")
        if not (lazy and self.layout == "clean"):    # written out: a storage of its own
            self.compared.append((node["$tensor"], got))

    def writer_drops_bits(self):
        """1.12 and 1.13 did not save the bits (NOT-IN-THE-FILE.tsv): the file holds what the storage holds."""
        return self.case.truth["writer"]["torch"].startswith(("1.12", "1.13"))

    def window(self, record, got, path):
        stride, storage = list(got.stride()), got.untyped_storage().nbytes()
        if self.layout == "keep":
            seen = [stride, got.storage_offset(), storage]
            want = [record["stride"], record["storage_offset"], record["storage_numel"] * got.element_size()]
            if seen != want:
                self.fail(path, "stride, offset and storage are %s, were %s", seen, want)
        elif stride != record["stride"] and storage > got.numel() * got.element_size():
            self.fail(path, "stride %s was %s, and nothing was compacted", stride, record["stride"])

    def sparse(self, record, got, path):
        """Every part of a sparse tensor; whether it is coalesced was not saved before 2.1, and torch then says False."""
        import torch
        parts = {torch.sparse_coo: ("indices", "values"), torch.sparse_csr: ("crow_indices", "col_indices", "values"),
                 torch.sparse_bsr: ("crow_indices", "col_indices", "values"), torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
                 torch.sparse_bsc: ("ccol_indices", "row_indices", "values")}[got.layout]
        for part in parts:
            tensor = getattr(got, ("_" if got.layout == torch.sparse_coo else "") + part)()
            if str(tensor.dtype) != record[part + "_dtype"] or not same_values({"value": record[part]}, self.case, tensor):
                return self.fail(path, "the %s of a sparse tensor differ", part)
        known = tuple(int(n) for n in self.case.truth["writer"]["torch"].split(".")[:2]) >= (2, 1)
        if known and "coalesced" in record and got.is_coalesced() != record["coalesced"]:
            self.fail(path, "coalesced %s, was %s", got.is_coalesced(), record["coalesced"])

    def quantized(self, node, record, got, path):
        if str(got.qscheme()) != record["qscheme"]:
            return self.fail(path, "qscheme is %s, was %s", got.qscheme(), record["qscheme"])
        if "q_scale" in record:
            if (got.q_scale(), got.q_zero_point()) != (record["q_scale"], record["q_zero_point"]):
                return self.fail(path, "scale %s and zero point %s differ", got.q_scale(), got.q_zero_point())
        else:
            if got.q_per_channel_axis() != record["q_axis"]:
                return self.fail(path, "axis is %s, was %s", got.q_per_channel_axis(), record["q_axis"])
            for name, tensor in (("q_scales", got.q_per_channel_scales()), ("q_zero_points", got.q_per_channel_zero_points())):
                if not same_values({"value": record[name]}, self.case, tensor):
                    return self.fail(path, "the %s differ", name)
        for name, tensor in (("int_repr", got.int_repr()), ("dequantized", got.dequantize())):
            if not same_values({"value": record[name]}, self.case, tensor):
                return self.fail(path, "the %s differs", name)
        self.compared.append((node["$tensor"], got))

    def _sharing(self):
        """Equal storage_group = same storage, and in the clean layout no storage larger than what its tensors reach."""
        ours, theirs, reach = {}, {}, {}
        for index, t in self.compared:
            group, storage = self.case.tensors[index]["storage_group"], t.untyped_storage()
            ours.setdefault(group, set()).add(storage._cdata)
            theirs.setdefault(storage._cdata, set()).add(group)
            ends = hull(t)
            if ends:
                low, high, _ = reach.get(group, (ends[0], ends[1], 0))
                reach[group] = (min(low, ends[0]), max(high, ends[1]), (storage.nbytes(), t.element_size()))
        for group, storages in ours.items():
            if len(storages) > 1:
                self.fail("storage group %d" % group, "shared by all its tensors once, now %s storages", len(storages))
        for groups in theirs.values():
            if len(groups) > 1:
                self.fail("storage groups %s" % sorted(groups), "apart once, now one storage")
        for group, (low, high, (size, itemsize)) in reach.items():
            if self.layout == "clean" and size > (high - low + 1) * itemsize:
                self.fail("storage group %d" % group, "%s bytes for views that reach %s", size, (high - low + 1) * itemsize)


def unordered(node):
    """The same nodes, with plain dicts in any order."""
    if isinstance(node, list):
        return [unordered(n) for n in node]
    if not isinstance(node, dict):
        return node
    more = {"any_order": True} if "$dict" in node and "class" not in node else {}
    return dict({k: v if k in ("$tensor", "$ref") else unordered(v) for k, v in node.items()}, **more)


def numbered(state_dict):
    """An optimizer's state_dict node with parameters as positions."""
    fields, index = items_of(state_dict), {}
    def position(key):
        return index.setdefault(plain_key(key), len(index))
    groups = [dict(g, **{"$dict": [[k, {"$list": [position(p) for p in n["$list"]]} if text_of(k) == "params" else n] for k, n in g["$dict"]]})
              for g in fields["param_groups"]["$list"]]
    state = [[position(k) if plain_key(k) in index else k, n] for k, n in fields["state"]["$dict"]]
    rest = {"state": dict(fields["state"], **{"$dict": state}), "param_groups": {"$list": groups}}
    return dict(state_dict, **{"$dict": [[k, rest.get(text_of(k), n)] for k, n in state_dict["$dict"]]})


def tensor_indices(node):
    """Indices of all tensors under a sidecar node."""
    if isinstance(node, dict):
        if "$tensor" in node:
            yield node["$tensor"]
        node = list(node.values())
    if isinstance(node, list):
        for n in node:
            yield from tensor_indices(n)


def tensors_in(value, seen=None):
    """All tensors under a loaded value."""
    import torch
    seen = set() if seen is None else seen
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
        seen.add(id(value))
        for v in (value.values() if isinstance(value, dict) else value):
            yield from tensors_in(v, seen)


def parts_of(tensor):
    """The tensors that a sparse, nested or per-channel quantized tensor is made of, by the names that torchferry gives them."""
    import torch
    if tensor.layout == torch.sparse_coo:
        return {"indices": tensor._indices(), "values": tensor._values()}
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return {"crow_indices": tensor.crow_indices(), "col_indices": tensor.col_indices(), "values": tensor.values()}
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return {"ccol_indices": tensor.ccol_indices(), "row_indices": tensor.row_indices(), "values": tensor.values()}
    if tensor.is_nested:
        return {"values": tensor.values(), "sizes": tensor._nested_tensor_size(), "strides": tensor._nested_tensor_strides(),
                "offsets": tensor._nested_tensor_storage_offsets()}
    if tensor.is_quantized and tensor.qscheme() != torch.per_tensor_affine:
        return {"int_repr": tensor.int_repr(), "scales": tensor.q_per_channel_scales(), "zero_points": tensor.q_per_channel_zero_points()}
    return {"int_repr": tensor.int_repr()} if tensor.is_quantized else {}


def facts_of(tensor):
    """What a composite tensor is beside its parts."""
    facts = [tensor.dtype, tensor.layout, tensor.requires_grad, type(tensor)]
    if not tensor.is_nested:
        facts.append(tuple(tensor.shape))
    if str(tensor.layout) == "torch.sparse_coo":
        facts.append(tensor.is_coalesced())
    if tensor.is_quantized:
        facts.append(tensor.qscheme())
        facts.append((tensor.q_scale(), tensor.q_zero_point()) if "per_tensor" in str(tensor.qscheme()) else tensor.q_per_channel_axis())
    return facts


def differences(a, b, path="", pairs=None):
    """Where two loaded objects differ (the first is what torch reads from the original): a list of lines."""
    import torch
    pairs = {} if pairs is None else pairs
    if (id(a), id(b)) in pairs:
        return []
    pairs[(id(a), id(b))] = (a, b)
    if isinstance(a, torch.Tensor):
        if not isinstance(b, torch.Tensor):
            return ["%s: no tensor" % path]
        if parts_of(a) or parts_of(b):
            mine, other = parts_of(a), parts_of(b)
            if facts_of(a) != facts_of(b) or list(mine) != list(other):
                return ["%s: %s became %s" % (path, facts_of(a), facts_of(b))]
            return [d for part in mine for d in differences(mine[part].contiguous(), other[part].contiguous(), "%s.%s" % (path, part))]
        if a.dtype != b.dtype or a.shape != b.shape or a.requires_grad != b.requires_grad:
            return ["%s: another tensor" % path]
        if a.stride() != b.stride() or bits(a.resolve_conj().resolve_neg()) != bits(b.resolve_conj().resolve_neg()):
            return ["%s: strides or values differ" % path]
        return []
    if type(a) is not type(b):
        return ["%s: %s became %s" % (path, type(a).__name__, type(b).__name__)]
    found = []
    if isinstance(a, dict):
        if list(a) != list(b):
            return ["%s: keys differ" % path]
        for key in a:
            found += differences(a[key], b[key], "%s.%s" % (path, key), pairs)
        if hasattr(a, "_metadata"):
            found += differences(a._metadata, getattr(b, "_metadata", None), path + "._metadata", pairs)
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return ["%s: lengths differ" % path]
        for i, (x, y) in enumerate(zip(a, b)):
            found += differences(x, y, "%s.%d" % (path, i), pairs)
    elif isinstance(a, (int, float, str, bytes, bytearray, complex, set)) and a != b and a == a:
        found.append("%s: %r became %r" % (path, a, b))
    return found


# ---------------------------------------------------------------------------------------------------------------- self-test

def self_test():
    """Every corruption of an expectation must be seen."""
    import copy
    import numpy
    import torch
    from collections import OrderedDict

    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    nan = torch.tensor([0x7FC00001, 0x7F800001], dtype=torch.int32).view(torch.float32)

    def loaded():
        model = OrderedDict(w=base, view=base.t(), nan=nan)
        model._metadata = OrderedDict({"": {"version": 1}})
        shared = [1, 2]
        return {"model": model, "epoch": 3, "lr": 0.1, "a": shared, "b": shared, "betas": (0.9, 0.999), "step": torch.tensor(5.0),
                "when": "2020-02-03T04:05:06", "phase": "train", "set": {1, 2}, "half": torch.tensor([1.5], dtype=torch.bfloat16)}

    def record(t, value, group, **more):
        return dict(dict(path="", path_list=[], dtype=dtype_name(t), shape=list(t.shape), stride=list(t.stride()), requires_grad=False,
                         storage_offset=0, storage_group=group, storage_numel=t.untyped_storage().nbytes() // t.element_size(), value=value,
                         layout="torch.strided", **{"class": "torch.Tensor"}), **more)

    def float_node(x):
        return {"$float": x.hex(), "approx": repr(x)}

    case = Case("self.expected.json", "self")
    case.arrays = {"a0": base.numpy(), "a1": numpy.ascontiguousarray(base.t().numpy()), "a2": nan.numpy(),
                   "a3": numpy.array([1.5], "f4")}
    case.tensors = [record(base, "a0", 0), record(base.t(), "a1", 0), record(nan, "a2", 1), record(torch.zeros(1, dtype=torch.bfloat16), "a3", 2)]
    case.tree = {"$dict": [
        ["model", {"$dict": [["w", {"$tensor": 0}], ["view", {"$tensor": 1}], ["nan", {"$tensor": 2}]], "class": "collections.OrderedDict",
                   "attributes": {"$dict": [["_metadata", {"$dict": [["", {"$dict": [["version", 1]]}]], "class": "collections.OrderedDict"}]]}}],
        ["epoch", 3], ["lr", float_node(0.1)], ["a", {"$list": [1, 2]}], ["b", {"$ref": "a"}],
        ["betas", {"$tuple": [float_node(0.9), float_node(0.999)]}], ["step", {"$step": 5}],
        ["when", {"$object": "datetime.datetime", "str": "2020-02-03 04:05:06"}], ["phase", {"$enum": "m.Phase", "name": "X", "value": "train"}],
        ["set", {"$set": [1, 2]}], ["half", {"$tensor": 3}]]}

    def verdict(change_case=None, change_loaded=None, layout="keep"):
        mine, value = copy.deepcopy(case), loaded()
        if change_case:
            change_case(mine)
        if change_loaded:
            value = change_loaded(value) or value
        return Comparison(mine, layout).run(value)

    def in_case(text):
        return lambda c: exec(text, {"c": c, "numpy": numpy})

    def in_file(text):
        def change(v):
            exec(text, {"v": v, "torch": torch, "OrderedDict": OrderedDict})
        return change

    corruptions = [
        ("a value", in_case("c.arrays['a0'] = c.arrays['a0'] + 1e-6"), None),
        ("the sign of zero", in_case("c.arrays['a0'] = numpy.where(c.arrays['a0'] == 0, numpy.float32(-0.0), c.arrays['a0'])"), None),
        ("a NaN payload", in_case("c.arrays['a2'] = (c.arrays['a2'].view('i4') + 1).view('f4')"), None),
        ("a bfloat16 value", in_case("c.arrays['a3'] = c.arrays['a3'] * 2"), None),
        ("a dtype", in_case("c.tensors[0]['dtype'] = 'int32'"), None),
        ("a shape", in_case("c.tensors[0]['shape'] = [4, 3]"), None),
        ("a stride", in_case("c.tensors[1]['stride'] = [3, 1]"), None),
        ("an offset", in_case("c.tensors[0]['storage_offset'] = 1"), None),
        ("a storage size", in_case("c.tensors[0]['storage_numel'] = 13"), None),
        ("requires_grad", in_case("c.tensors[0]['requires_grad'] = True"), None),
        ("the class", in_case("c.tensors[0]['class'] = 'torch.nn.parameter.Parameter'"), None),
        ("sharing that was not", in_case("c.tensors[1]['storage_group'] = 7"), None),
        ("sharing lost", None, in_file("v['model']['view'] = v['model']['view'].t().clone().t()")),
        ("dict order", None, in_file("v['epoch'] = v.pop('epoch')")),
        ("a lost key", None, in_file("del v['phase']")),
        ("a new key", None, in_file("v['amp'] = 1")),
        ("a float's last bit", None, in_file("v['lr'] = 0.1 + 2**-56")),
        ("an int that became a float", None, in_file("v['epoch'] = 3.0")),
        ("a tuple that became a list", None, in_file("v['betas'] = [0.9, 0.999]")),
        ("a shared list that became two", None, in_file("v['b'] = [1, 2]")),
        ("_metadata lost", None, in_file("del v['model']._metadata")),
        ("_metadata changed", None, in_file("v['model']._metadata['']['version'] = 2")),
        ("an OrderedDict that became a dict", None, in_file("v['model'] = dict(v['model'])")),
        ("a step that stayed a number", None, in_file("v['step'] = 5")),
        ("a wrong step", None, in_file("v['step'] = torch.tensor(4.0)")),
        ("a date", None, in_file("v['when'] = '2020-02-03T04:05:07'")),
        ("a set", None, in_file("v['set'] = {1}")),
        ("None in place of a tensor", None, in_file("v['model']['w'] = None")),
    ]
    failed = 0
    for layout in ("keep", "clean"):
        for line in verdict(layout=layout):
            failed += 1
            print("FAIL an honest copy in layout %s: %s" % (layout, line))
    for name, change_case, change_loaded in corruptions:
        if not verdict(change_case, change_loaded):
            failed += 1
            print("FAIL not seen: %s" % name)
    fat = torch.arange(100, dtype=torch.float32)[:12].reshape(3, 4)
    if not verdict(None, lambda v: v["model"].update(w=fat, view=fat.t()), "clean"):
        failed += 1
        print("FAIL not seen: a view that drags its storage")
    total = len(corruptions) + 3
    print("%d passed, %d failed" % (total - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    if importlib.util.find_spec("torch") is None:
        sys.exit(77)
    if sys.argv[1:] not in ([], ["--self-test"]):
        sys.exit(__doc__)
    sys.exit(self_test())
