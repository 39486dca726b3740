"""Objects that this PyTorch saves whole: what `convert` makes of them is what their state_dict() gives, and a fresh module of the same class
takes it; their classes and settings are in the report. Old releases wrote the whole_* fixtures, which the other oracles compare.

    python whole_objects.py
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import types
import warnings

import ferry_oracle as oracle

warnings.simplefilter("ignore")


def vanishing_module():
    """A Python module that no reader has."""
    import torch

    module = types.ModuleType("vanished_whole")
    sys.modules["vanished_whole"] = module

    class Hooked(torch.nn.Linear):
        """Its hook would rename what it saves."""

    class Odd(torch.nn.Linear):
        def __getstate__(self):
            return {"mine": self.weight}

        def __setstate__(self, state):
            raise NotImplementedError

    def rename(module, state_dict, prefix, local_metadata):
        state_dict[prefix + "renamed"] = state_dict.pop(prefix + "weight")

    for thing in (Hooked, Odd, rename):
        thing.__module__, thing.__qualname__ = "vanished_whole", thing.__name__
        setattr(module, thing.__name__, thing)
    return module


def modules():
    """{name: a function that makes a module}; made twice, they take each other's state_dict."""
    import torch
    from torch import nn

    def convolutional():
        return nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="reflect"), nn.BatchNorm2d(2), nn.ReLU(True), nn.Sequential(nn.Flatten()))

    def averaged():
        return torch.optim.swa_utils.AveragedModel(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))

    def dynamic():
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 2), nn.LSTMCell(2, 2)), dtype=torch.qint8)

    def static():
        torch.backends.quantized.engine = "fbgemm"
        model = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Linear(4, 3), torch.ao.quantization.DeQuantStub())
        model.eval().qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
        prepared = torch.ao.quantization.prepare(model)
        prepared(torch.randn(1, 1, 4, 4))
        return torch.ao.quantization.convert(prepared)

    return {"convolutional": convolutional, "averaged": averaged, "dynamic quantized": dynamic, "static quantized": static,
            "transformer": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 2), 2, enable_nested_tensor=False),
            "lstm": lambda: nn.LSTM(2, 3, 2, bidirectional=True), "parallel": lambda: nn.DataParallel(nn.Linear(1, 1)),
            "spectral": lambda: nn.utils.spectral_norm(nn.Conv1d(1, 2, 2)), "embedding bag": lambda: nn.EmbeddingBag(3, 2)}


def plain(value):
    """A state_dict with packed weights as what they were packed from."""
    import torch
    if isinstance(value, torch.ScriptObject):
        return plain(value.__getstate__()[0])
    if isinstance(value, (tuple, list)):
        return type(value)(plain(v) for v in value)
    return value


def save_and_convert(folder, thing, *options):
    import torch
    source, target = folder / "a.pth", folder / "b.pth"
    torch.save(thing, source)
    return oracle.convert(source, target, "--force", *options) + (target,)


def check_state(folder, name, make):
    import torch
    torch.manual_seed(1)
    model = make()
    status, message, target = save_and_convert(folder, model, "--layout", "keep")
    if status != 0:
        return ["exit %s: %s" % (status, message)]
    got = oracle.load_safely(target)
    expected = model.state_dict(keep_vars=True)
    for key in expected:
        expected[key] = plain(expected[key])
    failures = oracle.differences(expected, got)
    if not failures and "quantized" not in name:     # packed weights are packed again by the classes alone
        try:
            make().load_state_dict(got)
        except Exception as error:
            failures.append("a fresh one does not take it: " + " ".join(str(error).split())[:200])
    return failures


def check_report(folder):
    """Every module of the live object is described, with what its constructor was given."""
    import torch
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, (3, 1), stride=2, bias=False), torch.nn.ModuleDict({"norm": torch.nn.GroupNorm(1, 4, eps=0.5)}))
    torch.save({"net": model}, folder / "r.pth")
    done = subprocess.run([oracle.binary(), "convert", str(folder / "r.pth"), "-o", str(folder / "r2.pth"), "--json"], stdout=subprocess.PIPE)
    described = {m["path"]: m for m in json.loads(done.stdout)["files"][0]["modules"]}
    failures = []
    for path, module in model.named_modules():
        found = described.get(path)
        cls = "%s.%s" % (type(module).__module__, type(module).__name__)
        if found is None or found["class"] != cls or found["object"] != "net":
            failures.append("%s is described as %s" % (path or "(root)", found))
            continue
        for key, value in vars(module).items():
            if isinstance(value, (bool, int, float, str)) and found["attributes"].get(key) != value:
                failures.append("%s.%s is %s" % (path, key, found["attributes"].get(key)))
    if described.get("0", {}).get("attributes", {}).get("kernel_size") != [3, 1]:
        failures.append("kernel_size is not there")
    return failures


def check_remarks(folder):
    """What no file can tell is said."""
    import torch
    vanished, failures = vanishing_module(), []
    hooked = torch.nn.Sequential(vanished.Hooked(1, 1))
    hooked[0]._register_state_dict_hook(vanished.rename)
    odd = torch.nn.Sequential(vanished.Odd(1, 1), torch.nn.Linear(1, 1))
    norm = torch.nn.Sequential(torch.nn.utils.weight_norm(torch.nn.Linear(1, 1)))
    norm[0].register_buffer("scratch", torch.ones(1), persistent=False)
    for thing, code, keys in ((hooked, "TF625", ["0.weight", "0.bias"]), (odd, "TF507", ["0", "1.weight", "1.bias"]),
                              (norm, "TF609", ["0.bias", "0.weight_g", "0.weight_v"])):
        status, message, target = save_and_convert(folder, thing)
        if status != 0 or code not in message or list(oracle.load_safely(target)) != keys:
            failures.append("%s %s: exit %s, %s" % (code, keys, status, message))
    target.unlink()
    status, message, target = save_and_convert(folder, {"w": torch.nn.UninitializedParameter()})
    if status != 2 or "TF207" not in message:
        failures.append("a parameter without values: exit %s, %s" % (status, message))
    status, message, target = save_and_convert(folder, torch.nn.LazyLinear(2))
    if status != 2 or "TF207" not in message or target.exists():
        failures.append("a lazy module: exit %s, %s" % (status, message))
    return failures


def check_source(folder):
    """The source that the legacy stream keeps can be read, and is not in the output."""
    import torch
    torch.save(torch.nn.Linear(1, 1), folder / "s.pth", _use_new_zipfile_serialization=False)
    text = subprocess.run([oracle.binary(), "inspect", "--code", str(folder / "s.pth")], stdout=subprocess.PIPE).stdout.decode()
    failures = [] if "class Linear(Module):" in text else ["inspect --code does not show the source"]
    oracle.convert(folder / "s.pth", folder / "s2.pth")
    return failures + (["the source is in the output"] if b"class Linear" in (folder / "s2.pth").read_bytes() else [])


def check(name):
    result = {"label": name, "group": "whole objects", "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        others = {"report": check_report, "remarks": check_remarks, "source": check_source}
        result["failures"] = others[name](folder) if name in others else check_state(folder, name, modules()[name])
    return result


if __name__ == "__main__":
    sys.exit(oracle.report(oracle.run_checks(check, ["report", "remarks", "source"] + list(modules()))))
