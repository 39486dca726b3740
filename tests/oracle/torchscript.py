"""TorchScript archives as a source of weights: what `convert` makes of one is what its module held.

* fixtures/torchscript: archives of PyTorch 1.0 to 1.12 with the state_dict that their writers had;
* modules that this PyTorch traces, scripts and freezes now, and archives of the shared data that it can load, against
  torch.jit.load(...).state_dict(), bit for bit; beyond that dict there may be tensors that the module keeps in other attributes;
* what is no archive of pickles is named.

    python torchscript.py
"""
import collections
import enum
import pathlib
import sys
import tempfile
import typing
import warnings

import ferry_oracle as oracle

warnings.simplefilter("ignore")

# Tensors in attributes that are neither parameters nor buffers, by class or case; state_dict() leaves them out.
EXTRA = {"containers": {"tensors.0", "tensors.1", "by_name.a", "pair.0", "nested.0.0", "plain"}}


# -- comparing

def flat(tensor):
    return (str(tensor.dtype), tuple(tensor.shape), tensor.stride(), oracle.bits(tensor))


def convert(source, folder):
    out = pathlib.Path(tempfile.mkdtemp(dir=folder), "out.pth")
    status, message = oracle.convert(source, out)
    if status != 0:
        raise AssertionError("exit %s: %s" % (status, message))
    return oracle.load_safely(out)


def same_state(got, want, extra=None):
    """Complaints; `extra`: names that may be there beyond `want`, None: any."""
    complaints = ["%s is missing" % key for key in want if key not in got]
    new = [key for key in got if key not in want]
    if extra is not None and set(new) != set(extra):
        complaints.append("%s instead of %s beyond state_dict()" % (sorted(new), sorted(extra)))
    complaints += ["%s is no plain tensor" % key for key in got if got[key].requires_grad]
    for key in want:
        if key in got and flat(got[key])[:2] + flat(got[key])[3:] != flat(want[key])[:2] + flat(want[key])[3:]:
            complaints.append("%s differs" % key)
    order = [key for key in got if key in want]
    if order != [key for key in want if key in got]:
        complaints.append("another order: %s, not %s" % (order, list(want)))
    return complaints


# -- modules of today

def modules(torch):
    """(name, module as a script, names beyond its state_dict)"""
    nn = torch.nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn, self.fc = nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Linear(3, 2)
            self.gain = nn.Parameter(torch.randn(2, 2))
            self.register_buffer("row", self.gain.detach()[1])
            self.register_buffer("steps", torch.tensor(7))
            self.register_buffer("wide", torch.randn(3, dtype=torch.complex64))
            self.register_buffer("brain", torch.randn(3).bfloat16())
            self.register_buffer("unsaved", torch.randn(2), persistent=False)

        def forward(self, x):
            x = torch.relu(self.bn(self.conv(x))).mean(3).mean(2)
            return self.fc(x).mm(self.gain) + self.row + self.steps + self.brain.float().sum() + torch.view_as_real(self.wide).sum() + self.unsaved

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.twice = self.a

        def forward(self, x):
            return self.twice(self.b(self.a(x)))

    class Constants(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(3))

        def forward(self, x):
            return x * self.w + torch.tensor([1.0, 2.0, 3.0])

    class Containers(nn.Module):
        tensors: typing.List[torch.Tensor]
        nested: typing.List[typing.List[torch.Tensor]]

        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.randn(2))
            self.tensors, self.by_name, self.pair = [torch.randn(2), torch.randn(1)], {"a": torch.randn(2)}, (torch.randn(1), 3)
            self.nested, self.plain = [[torch.randn(1)], []], torch.randn(2)
            self.sizes, self.rates, self.flags, self.text, self.table = [4, 5], [0.5], [True], "text", {"k": 1}

        def forward(self, x):
            x = x + self.w + self.tensors[0] + self.by_name["a"] + self.pair[0] + self.plain + float(len(self.nested))
            return x + float(self.sizes[0] + self.table["k"]) + self.rates[0] + float(len(self.flags) + len(self.text))

    class Colored(nn.Module):
        def __init__(self):
            super().__init__()
            self.color, self.w, self.where = Color.BLUE, nn.Parameter(torch.randn(2)), torch.device("cpu")

        def forward(self, x):
            return x * self.w if self.color == Color.BLUE else x

    torch.manual_seed(3)
    net = Net().eval()
    yield "traced", torch.jit.trace(net, torch.randn(1, 2, 3, 3)), ()
    yield "scripted", torch.jit.script(net), ()
    yield "tied", torch.jit.script(Tied()), ()
    yield "constants", torch.jit.trace(Constants(), torch.randn(3)), ()
    yield "containers", torch.jit.script(Containers()), EXTRA["containers"]
    yield "enum", torch.jit.script(Colored()), ()
    yield "lstm", torch.jit.trace(nn.LSTM(3, 4, 2, bidirectional=True), torch.randn(5, 2, 3)), ()
    yield "empty", torch.jit.script(nn.ReLU()), ()


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def check_today(folder):
    import torch
    for name, script, extra in modules(torch):
        path = folder / (name + ".pt")
        script.save(path)
        want = torch.jit.load(path).state_dict()
        got = convert(path, folder)
        yield name, same_state(got, want, extra)
        if got._metadata.keys() != want._metadata.keys():
            yield name, ["_metadata names %s, not %s" % (list(got._metadata), list(want._metadata))]
        shares = lambda state: [[a for a in state if state[a].untyped_storage()._cdata == state[b].untyped_storage()._cdata] for b in state]
        if shares({k: got[k] for k in want}) != shares(want):
            yield name, ["what shared a storage does so no more, or the other way round"]


def check_frozen(folder):
    """The weights of a frozen module are constants of its code: all of them are offered."""
    import torch
    torch.manual_seed(4)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
    path = folder / "frozen.pt"
    torch.jit.freeze(torch.jit.script(net)).save(path)
    got, want = convert(path, folder), net.state_dict()
    yield "frozen", [] if list(got) == ["constants.%d" % i for i in range(4)] else ["keys %s" % list(got)]
    yield "frozen", [] if sorted(map(oracle.bits, got.values())) == sorted(map(oracle.bits, want.values())) else ["other values"]
    status, message = oracle.run_tool("inspect", path)
    yield "frozen", [] if "frozen" in message or status == 0 else [message]


def check_composite(folder):
    """Quantized and sparse tensors, kept and frozen; the packed weights of quantized modules under their attribute."""
    import torch
    nn = torch.nn

    class Composite(nn.Module):
        def __init__(self):
            super().__init__()
            scales, points = torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([0, 1])
            self.register_buffer("channels", torch.quantize_per_channel(torch.randn(2, 3), scales, points, 0, torch.qint8))
            self.register_buffer("whole", torch.quantize_per_tensor(torch.randn(2, 3), 0.1, 3, torch.quint8))
            self.w = nn.Parameter(torch.randn(2, 3))

        def forward(self, x):
            return x * self.w + self.channels.dequantize() + self.whole.dequantize()

    def same(a, b):
        if a.dtype != b.dtype or a.shape != b.shape or a.layout != b.layout:
            return False
        if a.is_quantized:
            return a.qscheme() == b.qscheme() and torch.equal(a.int_repr(), b.int_repr()) and torch.equal(a.dequantize(), b.dequantize())
        return torch.equal(a, b) if a.layout == torch.strided else torch.equal(a.to_dense(), b.to_dense())

    torch.manual_seed(6)
    module = Composite().eval()
    script, want = torch.jit.script(module), module.state_dict()
    script.save(folder / "composite.pt")
    got = convert(folder / "composite.pt", folder)
    yield "composite", ["%s differs" % key for key in want if key not in got or not same(got[key], want[key])]
    torch.jit.freeze(script).save(folder / "frozen.pt")
    got = convert(folder / "frozen.pt", folder)
    yield "frozen composite", ["%s is not offered" % key for key in want if sum(same(want[key], t) for t in got.values()) != 1]

    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("eye", torch.eye(3).to_sparse())

        def forward(self, x):
            return x + self.eye.to_dense()

    torch.jit.script(Sparse()).save(folder / "sparse.pt")
    got = convert(folder / "sparse.pt", folder)
    yield "sparse", [] if list(got) == ["eye"] and same(got["eye"], torch.eye(3).to_sparse()) else ["got %s" % dict(got)]

    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    packed = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, dtype=torch.qint8)
    torch.jit.script(packed).save(folder / "packed.pt")
    got = convert(folder / "packed.pt", folder)
    for place in ("0", "2"):
        weight, bias = packed.state_dict()[place + "._packed_params._packed_params"]
        for name, tensor in (("weight", weight), ("bias", bias)):
            key = "%s._packed_params._packed_params.%s" % (place, name)
            yield "packed", [] if key in got and same(got[key], tensor.detach()) else ["%s is missing or differs" % key]


def check_mobile(folder):
    import torch
    script = torch.jit.script(torch.nn.Linear(2, 2))
    script._save_for_lite_interpreter(str(folder / "lite.ptl"))
    yield "lite.ptl", same_state(convert(folder / "lite.ptl", folder), script.state_dict(), ())
    script._save_for_lite_interpreter(str(folder / "flat.ptl"), _use_flatbuffer=True)
    status, message = oracle.convert(folder / "flat.ptl", folder / "flat.pth")
    yield "flat.ptl", [] if status == 2 and "flatbuffer" in message.lower() else ["exit %s: %s" % (status, message)]


# -- archives of old releases

def check_fixtures(folder):
    import numpy
    import torch
    for truth in sorted((oracle.FIXTURES / "torchscript").glob("*/*.npz")):
        path = truth.with_suffix(".pt")
        label = "%s/%s" % (path.parent.name, path.stem)
        arrays = dict(numpy.load(truth, allow_pickle=False))
        got = convert(path, folder)
        complaints = [] if sorted(got) == sorted(arrays) else ["keys %s, not %s" % (sorted(got), sorted(arrays))]
        for key, array in arrays.items():
            if key in got and (got[key].numpy().dtype != array.dtype or got[key].shape != array.shape or oracle.bits(got[key]) != array.tobytes()):
                complaints.append("%s differs" % key)
        yield label, complaints
        loads = path.parent.name not in ("1.0.1", "1.1.0", "1.2.0")       # 2.x has no reader for model.json
        if loads:
            state = torch.jit.load(path).state_dict()
            yield label + " as 2.x loads it", same_state(got, state)
    for frozen in sorted((oracle.FIXTURES / "torchscript").glob("*/frozen.pt")):
        got = convert(frozen, folder)
        yield "%s/frozen" % frozen.parent.name, [] if got and all(key.startswith("constants.") for key in got) else ["keys %s" % list(got)]


def check_shared(folder):
    """Archives of other people, where they are at hand."""
    import torch
    places = list((oracle.SHARED / "corpus" / "written-by-torch").glob("*/ts_*.pt")) + list((oracle.SHARED / "corpus" / "numerics").glob("*.ts.pt"))
    places += [p for end in ("*.jit", "*.dat", "*.pt.zip", "unitree_go1.pt") for p in (oracle.SHARED / "corpus" / "from-public-projects").rglob(end)]
    for path in sorted(places):
        try:
            state = torch.jit.load(path, map_location="cpu").state_dict()
        except Exception:
            continue                                # model.json, and what is no TorchScript
        label = "%s/%s" % (path.parent.name, path.name)
        yield label, same_state(convert(path, folder), state)


CHECKS = collections.OrderedDict([("modules of this release", check_today), ("frozen", check_frozen), ("composite", check_composite), ("mobile", check_mobile),
                                  ("fixtures", check_fixtures), ("shared data", check_shared)])


def main():
    try:
        import torch
    except ImportError:
        return 77
    torch.set_num_threads(1)
    passed = failed = 0
    for title, check in CHECKS.items():
        with tempfile.TemporaryDirectory() as name:
            found = collections.OrderedDict()
            for label, complaints in check(pathlib.Path(name)):
                found.setdefault(label, []).extend(complaints)
        for label, complaints in found.items():
            for line in complaints:
                print("FAIL %s, %s: %s" % (title, label, line))
        bad = sum(bool(c) for c in found.values())
        passed, failed = passed + len(found) - bad, failed + bad
        print("%-28s %3d passed, %d failed" % (title, len(found) - bad, bad))
    print("\n%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
