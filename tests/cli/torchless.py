"""Writes a checkpoint as PyTorch 1.6 and later do, without PyTorch.

Usage: torchless.py TARGET EXPRESSION

The expression is Python and sees T(*shape, dtype="f", seed=0), a tensor of small numbers that follow from the seed, D, an
OrderedDict, and training(**changes), a training state as code for 2.x keeps it: a model, Adam, a GradScaler.
"""
import array
import collections
import io
import pickle
import sys
import types
import zipfile

D = collections.OrderedDict
STORAGES = {"f": "FloatStorage", "d": "DoubleStorage", "q": "LongStorage", "H": "HalfStorage"}

for name in ("torch", "torch._utils"):
    sys.modules[name] = types.ModuleType(name)


def _rebuild_tensor_v2(*arguments):
    pass


_rebuild_tensor_v2.__module__ = "torch._utils"
sys.modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
for name in STORAGES.values():
    setattr(sys.modules["torch"], name, type(name, (), {"__module__": "torch"}))


class T:
    def __init__(self, *shape, dtype="f", seed=0):
        self.shape, self.dtype = shape, dtype
        self.count = 1
        for size in shape:
            self.count *= size
        numbers = [((i * 37 + seed * 11) % 97 - 48) / 64.0 for i in range(self.count)]
        if dtype == "q":
            numbers = [seed + i for i in range(self.count)]
        if dtype == "H":
            numbers = [0x3c00 + (i * 37 + seed * 11) % 97 for i in range(self.count)]
        self.bytes = array.array(dtype, numbers).tobytes()

    def flipped(self, byte, mask=1):
        self.bytes = self.bytes[:byte] + bytes([self.bytes[byte] ^ mask]) + self.bytes[byte + 1:]
        return self

    def __reduce__(self):
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.insert(0, step)
            step *= size
        return _rebuild_tensor_v2, (Storage(self), 0, self.shape, tuple(strides), False, D())


class Storage:
    def __init__(self, tensor):
        self.tensor = tensor


class Pickler(pickle._Pickler):
    def __init__(self, file):
        super().__init__(file, 2)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        if value.tensor not in self.storages:
            self.storages.append(value.tensor)
        key = str(self.storages.index(value.tensor))
        return "storage", getattr(sys.modules["torch"], STORAGES[value.tensor.dtype]), key, "cpu", value.tensor.count


SHAPES = D([("conv.weight", (4, 3, 3, 3)), ("conv.bias", (4,)), ("bn.weight", (4,)), ("fc.weight", (5, 16))])


def model(prefix=""):
    weights = D((prefix + name, T(*shape, seed=i)) for i, (name, shape) in enumerate(SHAPES.items()))
    weights[prefix + "bn.running_mean"] = T(4, seed=7)
    return weights


def adam():
    states = {i: {"step": T(seed=8), "exp_avg": T(*shape, seed=10 + i), "exp_avg_sq": T(*shape, seed=20 + i)}
              for i, shape in enumerate(SHAPES.values())}
    group = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False, "maximize": False, "foreach": None,
             "capturable": False, "differentiable": False, "fused": None, "params": [0, 1, 2, 3]}
    return {"state": states, "param_groups": [group]}


def scaler():
    return {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 3}


def training(change=None, **changes):
    state = {"model": model(), "optimizer": adam(), "scaler": scaler(), "epoch": 3}
    state.update(changes)
    if change:
        exec(change, globals(), state)
        state.pop("__builtins__", None)
    return state


def write(target, value):
    text = io.BytesIO()
    pickler = Pickler(text)
    pickler.dump(value)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        def add(name, data):
            archive.writestr(zipfile.ZipInfo("archive/" + name, (1980, 1, 1, 0, 0, 0)), data)
        add("data.pkl", text.getvalue())
        for i, tensor in enumerate(pickler.storages):
            add("data/%d" % i, tensor.bytes)
        add("version", "3\n")


if __name__ == "__main__":
    write(sys.argv[1], eval(sys.argv[2]))
