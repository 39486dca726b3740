"""torchferry-replay against PyTorch: the same programs, inputs and weights give the same bits.

    python replay.py [NAME-PATTERN]

Skipped (77) where torchferry-replay was not built.
"""
import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings
from typing import List

import numpy
import torch

import _replay_models as models
import ferry_oracle as oracle

BINARY = pathlib.Path(oracle.binary()).with_name("torchferry-replay")
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print("FAILED: " + what)


# -- Goldens, as formats/golden/FORMAT.md has them

def flatten(value, path=""):
    if isinstance(value, dict):
        return [row for key in value for row in flatten(value[key], path + "." + key if path else key)]
    if isinstance(value, (list, tuple)):
        return [row for i, child in enumerate(value) for row in flatten(child, "%s.%d" % (path, i) if path else str(i))]
    return [] if value is None else [(path or "0", value)]


def write_golden(path, cases):
    arrays, attributes = {}, {"": {"layout": 1, "kind": "torch-golden", "writer": "test", "model": "test", "samples": 0}}
    for i, (name, args, kwargs) in enumerate(cases):
        attributes["case/%d" % i] = {"name": name, "edge": 0}
        for place, tensor in flatten(tuple(args)) + flatten(kwargs, "kw"):
            arrays["case/%d/in/%s" % (i, place)] = tensor.numpy()
    arrays["__attrs__"] = numpy.frombuffer(json.dumps(attributes).encode(), dtype=numpy.uint8)
    numpy.savez(path, **arrays)


class Result:
    def __init__(self, path, events, status):
        self.events, self.status = events, status
        self.arrays, self.attributes = {}, {}
        if path.exists():
            with numpy.load(path) as file:
                self.arrays = {name: file[name] for name in file.files}
            self.attributes = json.loads(self.arrays.pop("__attrs__").tobytes())

    def output(self, run, place, case=0):
        return self.arrays["case/%d/%s/out/%s" % (case, run, place)]

    def outputs(self, run, case=0):
        prefix = "case/%d/%s/out/" % (case, run)
        return {name[len(prefix):]: array for name, array in self.arrays.items() if name.startswith(prefix)}

    def modules(self, run, case=0):
        prefix = "case/%d/%s/mod/" % (case, run)
        return [(self.attributes[name], self.arrays[name]) for name in sorted(self.arrays) if name.startswith(prefix)]

    def operations(self, run, case=0):
        prefix = "case/%d/%s/op/" % (case, run)
        return [(self.attributes[name], self.arrays[name]) for name in sorted(self.arrays) if name.startswith(prefix)]

    def error(self):
        return [event for event in self.events if event["event"] == "error"]


def replay(folder, model, golden, **request):
    out = folder / "out.npz"
    out.unlink(missing_ok=True)
    line = {"protocol": "torchferry-replay/1", "model": str(model), "kind": "pt2", "golden": str(golden), "out": str(out), "samples": 0}
    line.update(request)
    done = subprocess.run([str(BINARY)], input=json.dumps(line) + "\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return Result(out, [json.loads(row) for row in done.stdout.splitlines()], done.returncode)


# -- Comparing

def as_array(value):
    return value.detach().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)


def same_bits(a, b):
    a, b = as_array(a), as_array(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def relative(a, b):
    a, b = as_array(a).astype(numpy.float64), as_array(b).astype(numpy.float64)
    return float(numpy.linalg.norm(a - b) / max(numpy.linalg.norm(b), 1e-300)) if a.shape == b.shape else float("inf")


def compare_outputs(name, run, expected, found, bound):
    expected = dict(flatten(expected))
    check(set(expected) == set(found), "%s %s: outputs %s, not %s" % (name, run, sorted(found), sorted(expected)))
    for place in set(expected) & set(found):
        if bound == 0:
            check(same_bits(expected[place], found[place]), "%s %s: output %s differs by %g" % (name, run, place, relative(found[place], expected[place])))
        else:
            check(relative(found[place], expected[place]) <= bound, "%s %s: output %s differs by %g" % (name, run, place, relative(found[place], expected[place])))


def eager(make, args, kwargs, wide=False):
    model = make()
    if wide:
        model = model.double()
        change = lambda value: value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        args, kwargs = torch.utils._pytree.tree_map(change, (args, kwargs))
    with torch.no_grad():
        return model(*args, **kwargs)


def hook_records(model, args, kwargs):
    """(module, call, output) -> array, as the recorder would have it."""
    records, calls = {}, {}

    def hook(path):
        def record(module, inputs, output):
            call = calls.get(path, 0)
            calls[path] = call + 1
            for place, tensor in flatten(output):
                if isinstance(tensor, torch.Tensor):
                    records[path, call, place] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().clone().numpy()
        return record

    handles = [module.register_forward_hook(hook(path)) for path, module in model.named_modules()]
    with torch.no_grad():
        model(*args, **kwargs)
    for handle in handles:
        handle.remove()
    return records


# -- The tests

def maker(name):
    return lambda: models.all_models()[name][0]


# Export decomposes attention, so that the products are other ones.
F32_BOUND = {"zoo": 1e-5}
F64_BOUND = {"modes": 1e-2}  # autocast is autocast in either precision, but not for float64


def check_export(name, folder):
    model, program = models.export(name)
    _, args, kwargs, _ = models.all_models()[name]
    torch.export.save(program, folder / "model.pt2")
    write_golden(folder / "golden.npz", [("first", args, kwargs), ("again", args, kwargs)])
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", taps="modules", repeats=2)
    check(result.status == 0, "%s: %s" % (name, result.error()))
    if result.status != 0:
        return
    for event in result.events:
        check("error" not in event, "%s: %s" % (name, event))
    expected = eager(maker(name), args, kwargs)
    for case in (0, 1):
        compare_outputs(name, "f32", expected, result.outputs("f32", case), F32_BOUND.get(name, 0))
    compare_outputs(name, "f64", eager(maker(name), args, kwargs, wide=True), result.outputs("f64"), F64_BOUND.get(name, 1e-14))
    check_modules(name, hook_records(maker(name)(), args, kwargs), result.modules("f32"))


def check_modules(name, records, found):
    seen = 0
    for facts, array in found:
        key = facts["module"], facts["call"], facts["output"]
        if facts["output"].startswith("~"):
            continue
        check(key in records, "%s: a record of %s, which no hook has" % (name, key))
        if key in records:
            seen += 1
            shape = json.loads(facts["shape"])
            check(list(records[key].shape) == shape, "%s: %s has shape %s" % (name, key, shape))
            check(relative(array.reshape(shape), records[key]) <= F32_BOUND.get(name, 0) or same_bits(array.reshape(shape), records[key]), "%s: %s differs" % (name, key))
    check(seen >= len(records) // 2, "%s: %d of %d records of hooks were found" % (name, seen, len(records)))


def check_dynamic_batch(folder):
    _, program = models.export("conv")
    torch.export.save(program, folder / "model.pt2")
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    write_golden(folder / "golden.npz", [("five", (x,), {})])
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"])
    compare_outputs("conv of five", "f32", eager(maker("conv"), (x,), {}), result.outputs("f32"), 0)


def check_static_batch(folder):
    """A program for two must not answer for one."""
    model, args, _, _ = models.all_models()["conv"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, args, strict=False), folder / "model.pt2")
    write_golden(folder / "golden.npz", [("one", (args[0][:1].clone(),), {}), ("two", args, {})])
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"])
    errors = [event.get("error", "") for event in result.events if event["event"] == "run"]
    check(len(errors) == 2 and "exported for 2" in errors[0] and errors[1] == "", "static batch: %s" % errors)


def check_weights(folder):
    """Weights of a checkpoint in an old layout replace those of the program."""
    _, program = models.export("conv")
    torch.export.save(program, folder / "model.pt2")
    other = models.Conv().eval()
    _, args, kwargs, _ = models.all_models()["conv"]
    write_golden(folder / "golden.npz", [("first", args, kwargs)])
    state = {"epoch": 3, "model_state": {"module." + key: value for key, value in other.state_dict().items()}}
    torch.save(state, folder / "weights.pth", _use_new_zipfile_serialization=False)
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"], weights=str(folder / "weights.pth"))
    check(result.status == 0, "weights: %s" % result.error())
    if result.status == 0:
        compare_outputs("weights", "f32", eager(lambda: other, args, kwargs), result.outputs("f32"), 0)

    del state["model_state"]["module.stem.weight"]
    state["model_state"]["module.extra"] = torch.zeros(1)
    state["model_state"]["module.fc.bias"] = torch.zeros(6)
    torch.save(state, folder / "weights.pth")
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"], weights=str(folder / "weights.pth"))
    said = json.dumps(result.error())
    check(result.status == 2 and all(word in said for word in ("stem.weight", "extra", "fc.bias", "TF415")), "weights that do not fit: %s" % said)

    torch.save({"a": other.state_dict(), "b": other.state_dict()}, folder / "weights.pth")
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"], weights=str(folder / "weights.pth"))
    check("several" in json.dumps(result.error()), "two state_dicts: %s" % result.error())
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"], weights=str(folder / "weights.pth"), select="b")
    check(result.status == 0, "selected weights: %s" % result.error())


def check_precisions(folder):
    """Rounded factors give errors of the size that the precision has, in the right order."""
    _, program = models.export("conv")
    torch.export.save(program, folder / "model.pt2")
    _, args, kwargs, _ = models.all_models()["conv"]
    write_golden(folder / "golden.npz", [("first", args, kwargs)])
    runs = ["f32", "f64", "tf32-rne", "tf32-rz", "bf16", "fp16", "autocast-bf16"]
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=runs)
    error = {run: relative(result.output(run, "logits"), result.output("f64", "logits")) for run in runs}
    check(error["f32"] < 1e-6 < error["tf32-rne"] < 5e-3, "precisions: %s" % error)
    check(error["tf32-rne"] < error["tf32-rz"] < error["bf16"], "precisions: %s" % error)
    check(error["bf16"] / 30 < error["autocast-bf16"] < error["bf16"] * 30, "precisions: %s" % error)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = models.all_models()["conv"][0](*args)["logits"].float()
    check(same_bits(result.output("autocast-bf16", "logits"), expected), "autocast differs from PyTorch's")


def check_operations(folder):
    _, program = models.export("conv")
    torch.export.save(program, folder / "model.pt2")
    _, args, kwargs, _ = models.all_models()["conv"]
    write_golden(folder / "golden.npz", [("first", args, kwargs)])
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"], taps="ops", samples=16)
    named = [(facts["op"], facts["module"], facts["call"]) for facts, _ in result.operations("f32")]
    check(("aten.conv2d.default", "layer.1.conv", 0) in named, "operations: %s" % named)
    check(("aten.relu_.default", "layer.0.relu", 1) in named, "operations: %s" % named)
    check(all(facts["source"].startswith("_replay_models.py:") for facts, _ in result.operations("f32") if facts["op"] == "aten.conv2d.default"), "operations: no source lines")
    check(all(array.size <= 16 for _, array in result.operations("f32")), "operations: not sampled")


def check_failures(folder):
    """A model that fails is one clear error, and the process ends as it should."""
    _, program = models.export("counter")
    torch.export.save(program, folder / "model.pt2")
    write_golden(folder / "golden.npz", [("wrong", (torch.zeros(4),), {})])
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f32"])
    check(result.status == 0 and "exported for 3" in json.dumps(result.events), "a wrong input: %s" % result.events)
    result = replay(folder, folder / "golden.npz", folder / "golden.npz")
    check(result.status == 2 and result.error(), "a model that is none: %s" % result.events)
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", runs=["f33"])
    check(result.status == 2 and "f33" in json.dumps(result.error()), "an unknown run: %s" % result.events)
    check(not (folder / "out.npz").exists(), "a run that failed left an output behind")


# -- TorchScript of old releases

def check_torchscript(folder):
    shared = pathlib.Path(os.environ.get("TORCHFERRY_SHARED", oracle.__file__)) / "corpus" / "numerics"
    done = 0
    for script in sorted(shared.glob("*.ts.pt")):
        name = script.name[:-len(".ts.pt")]
        recorded = shared / (name + ".io.npz")
        if not recorded.exists():
            continue
        with numpy.load(recorded) as file:
            x, y = torch.from_numpy(file["x"]), file["y"]
        write_golden(folder / "golden.npz", [("recorded", (x,), {})])
        result = replay(folder, script, folder / "golden.npz", kind="torchscript", taps="modules", weights=str(shared / (name + ".pth")))
        if result.status != 0:
            check(False, "%s: %s" % (name, result.error()))
            continue
        check(not any("error" in event for event in result.events), "%s: %s" % (name, result.events))
        check(result.outputs("f32"), "%s: no outputs" % name)
        if result.outputs("f32"):
            place = sorted(result.outputs("f32"))[0]
            check(relative(result.output("f32", place), y) < 1e-4, "%s: f32 differs by %g" % (name, relative(result.output("f32", place), y)))
            check(relative(result.output("f64", place), y) < 1e-4 and result.output("f64", place).dtype == numpy.float64, "%s: f64" % name)
            check(len(result.modules("f32")) > 2, "%s: %d module records" % (name, len(result.modules("f32"))))
        done += 1
    return done


def check_script_modules(folder):
    """Taps of TorchScript equal what forward hooks see."""
    for name in ("conv", "recurrent"):
        model, args, kwargs, _ = models.all_models()[name]
        wrapped = model if name == "recurrent" else FirstOnly(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            script = torch.jit.trace(wrapped, args, check_trace=False)
            script.save(str(folder / "model.pt"))
        write_golden(folder / "golden.npz", [("first", args, kwargs)])
        result = replay(folder, folder / "model.pt", folder / "golden.npz", kind="torchscript", taps="modules")
        check(result.status == 0, "script %s: %s" % (name, result.error()))
        if result.status == 0:
            with torch.no_grad():
                expected = wrapped(*args)
            compare_outputs("script " + name, "f32", expected, result.outputs("f32"), 0)
            # A trace forgets the keys of dicts, so what the inner model returned has no name there.
            found = [(facts, array) for facts, array in result.modules("f32") if facts["module"] != "inner"]
            check_modules("script " + name, hook_records(wrapped, args, kwargs), found)


@torch.jit.script
def zeros_like_traced(count: int):
    return torch.zeros(count, device=torch.device("cuda:0"))


class Placed(torch.nn.Module):
    """As traces of recurrent layers are: states made on the device that the model was traced on. Lists are read on the processor."""

    def forward(self, x):
        offsets: List[float] = torch.tensor([0.5, 0.25, 0.125], device=torch.device("cuda:0")).tolist()
        x = x + zeros_like_traced(3) + torch.tensor(offsets, device=x.device)
        return x + torch.arange(3, dtype=torch.float32, device=torch.device("cuda:0")).to("cuda:0").cuda()


def check_device_of_trace(folder, device="cpu"):
    """A program with another device written into it runs where it is asked to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Placed()).save(str(folder / "model.pt"))
    write_golden(folder / "golden.npz", [("first", (torch.ones(2, 3),), {})])
    result = replay(folder, folder / "model.pt", folder / "golden.npz", kind="torchscript", device=device, taps="modules")
    check(result.status == 0 and not any("error" in event for event in result.events), "a device of a trace: %s" % result.events)
    for run, dtype in (("f32", torch.float32), ("f64", torch.float64)):
        compare_outputs("a device of a trace", run, torch.ones(2, 3, dtype=dtype) + torch.tensor([0.5, 0.25, 0.125]) + torch.arange(3), result.outputs(run), 0)


def check_limits(folder):
    """Address space cannot be limited where CUDA has to map all of it."""
    _, program = models.export("counter")
    torch.export.save(program, folder / "model.pt2")
    write_golden(folder / "golden.npz", [("first", (torch.zeros(3),), {})])
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", device="cuda", limits={"memory_mib": 1 << 16})
    check(result.status == 2 and "address space" in json.dumps(result.error()), "a limit with a GPU: %s" % result.events)
    result = replay(folder, folder / "model.pt2", folder / "golden.npz", device="auto", limits={"memory_mib": 1 << 16})
    check(result.status == 0 and result.events[0]["device"] == "cpu", "a limit: %s" % result.events)


class FirstOnly(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)["logits"]


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    if not BINARY.exists():
        print("skipped: torchferry-replay was not built")
        return 77
    torch.set_num_threads(1)
    tests = {"export " + name: (lambda folder, name=name: check_export(name, folder)) for name in models.all_models()}
    tests.update({"dynamic batch": check_dynamic_batch, "static batch": check_static_batch, "weights": check_weights, "precisions": check_precisions,
                  "operations": check_operations, "failures": check_failures, "torchscript": check_torchscript, "script modules": check_script_modules,
                  "device of a trace": check_device_of_trace, "limits": check_limits})
    for name, test in tests.items():
        if fnmatch.fnmatch(name, pattern):
            with tempfile.TemporaryDirectory() as folder:
                found = len(failures)
                detail = test(pathlib.Path(folder))
                print("%-20s %s%s" % (name, "ok" if len(failures) == found else "FAILED", "" if detail is None else "  (%d files)" % detail))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
