"""The recorder: goldens that PyTorch 1.4.0 and 1.12.1 wrote, held against the same models recorded in this PyTorch.

Every model of fixtures/models is recorded again from the committed checkpoint and the golden's own inputs. It must be the same function by
the bounds of _forward_reference.py in every output and module of every input; float32 must round alike. Then the layout: two containers
with the same content, samples where the text of the layout puts them, hashes that bind to the checkpoint, the same bytes twice; and what
is told of models that leave float64.

    python recorder.py [MODEL-PATTERN]
"""
import fnmatch
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(__file__).resolve().parents[2]
MODELS, GOLDENS = SOURCE / "fixtures/models", SOURCE / "fixtures/goldens"
sys.path[:0] = [str(SOURCE / "scripts"), str(MODELS)]

import numpy  # noqa: E402
import torch  # noqa: E402

import _forward_reference as reference  # noqa: E402
import torchferry_recorder as recorder  # noqa: E402
import zoo  # noqa: E402

VERSIONS = ("1.4.0", "1.4.0-py27", "1.12.1")


def golden_file(version, model):
    """The golden, whichever container it has."""
    return next(path for path in (GOLDENS / version / (model + suffix) for suffix in (".npz", ".h5")) if path.exists())


def record(output, *arguments):
    code = recorder.main([*map(str, arguments), "--threads", "1", "--quiet", "--force", "-o", str(output)])
    assert code == 0, f"the recorder ended with {code}: {arguments}"
    return reference.Golden(output)


def record_again(version, model, output, *more):
    """The golden's model in this PyTorch, from its checkpoint and its inputs."""
    old = golden_file(version, model)
    return record(output, "--factory", f"{MODELS}/zoo.py:{model}", "--checkpoint", old.with_suffix(".pth"), "--inputs", old,
                  "--model", model, "--samples", reference.committed(old).root["samples"], *more)


def relative(old, new, run):
    """The largest relative distance of outputs, and how many of them are the same bits."""
    worst, equal, count = 0.0, 0, 0
    for index in range(old.count()):
        for path, record_ in old.outputs(index, run).items():
            other = new.outputs(index, run)[path]
            equal += numpy.array_equal(record_.array, other.array)
            count += 1
            if not reference.exact(record_.array):
                worst = max(worst, reference.ratio(reference.norm(reference.difference(record_.array, other.array)),
                                                   reference.finite_norm(other.array)))
    return worst, f"{equal}/{count}"


# -- Tests

def same_functions(pattern, folder):
    """Honest goldens: no false alarm. That outputs are the same bits is asked of nobody; how many are is the last figure."""
    print(f"{'golden':<22} {'compared':>8} {'semantic':>9} {'rounding':>9} {'f32 rel.':>9} {'f64 rel.':>9} {'f32 bits':>9}  unstable in float32")
    for version in VERSIONS:
        for model in fnmatch.filter(zoo.MODELS, pattern):
            old = reference.committed(golden_file(version, model))
            new = record_again(version, model, folder / "new.npz")
            assert old.root["f64"] == "ok" and new.root["f64"] == "ok", (old.root["f64"], new.root["f64"])
            verdict = reference.Verdict(old, new)
            (narrow, bits), (wide, _) = relative(old, new, "f32"), relative(old, new, "f64")
            print(f"{version + '/' + model:<22} {verdict.compared:>8} {verdict.semantic:>9.3g} {verdict.rounding:>9.3g} "
                  f"{narrow:>9.1e} {wide:>9.1e} {bits:>9}  {', '.join(verdict.unstable) or '-'}")
            assert verdict.same_function, f"{version}/{model}: another function at {verdict.first_bad}"
            assert verdict.rounds_alike, f"{version}/{model}: float32 rounds otherwise, {verdict.rounding}"
            assert verdict.compared > 90


def floor_of_aeromamba(folder):
    """sqrt(clamp(power)) and clamp(sqrt(power)) differ where it is silent, and only there."""
    old = golden_file("1.12.1", "stft_audio")
    arguments = json.dumps({"model": "stft_audio", "fault": "clamp of the magnitude", "checkpoint": str(old.with_suffix(".pth"))})
    new = record(folder / "clamp.npz", "--factory", f"{MODELS}/faults.py:faulty", "--kwargs", arguments, "--inputs", old,
                 "--model", "stft_audio", "--samples", 48)
    cases = reference.Verdict(reference.committed(old), new).cases
    shown = {case.name for case in cases if not case.same_function}
    assert shown == {"zeros", "tiny", "padding", "silence"}, shown
    assert all(case.first_bad == "mag" for case in cases if not case.same_function)


def containers_carry_the_same(folder):
    for model in ("stft_audio", "ffb6d_like"):
        npz, hdf5 = (record_again("1.12.1", model, folder / ("same" + suffix)) for suffix in (".npz", ".h5"))
        npz.root.pop("meta"), hdf5.root.pop("meta")  # it names the file
        assert npz.attributes == hdf5.attributes
        assert set(npz.arrays) == set(hdf5.arrays)
        for path, array in npz.arrays.items():
            assert array.dtype == hdf5.arrays[path].dtype and array.shape == hdf5.arrays[path].shape, path
            assert array.tobytes() == hdf5.arrays[path].tobytes(), path


def samples_lie_where_the_layout_says(folder):
    sampled, full = record_again("1.4.0", "convnet", folder / "s.npz"), record_again("1.4.0", "convnet", folder / "f.npz", "--full")
    assert full.root["samples"] == 0
    seen = 0
    for index in range(sampled.count()):
        for run in ("f32", "f64"):
            whole = full.modules(index, run)
            for key, record_ in sampled.modules(index, run).items():
                count = record_.attributes["sampled"]
                flat = whole[key].array.reshape(-1)
                assert whole[key].attributes["sampled"] == 0 and flat.size == numpy.prod(json.loads(record_.attributes["shape"]))
                expected = flat[reference.sample_indices(flat.size, count)] if count else flat
                assert numpy.array_equal(record_.array, expected), (key, run)
                facts = {name: value for name, value in record_.attributes.items() if name != "sampled"}
                assert facts == {name: value for name, value in whole[key].attributes.items() if name != "sampled"}
                assert facts["sha256"] == hashlib.sha256(flat.tobytes()).hexdigest()
                seen += bool(count)
    assert seen > 100, seen


def goldens_are_bound_to_their_checkpoints(folder):
    for version in VERSIONS:
        for model in zoo.MODELS:
            path = golden_file(version, model)
            golden, checkpoint = reference.Golden(path), path.with_suffix(".pth")
            assert json.loads(golden.root["meta"])["checkpoint_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest(), path
            assert json.loads(golden.root["env"])["torch"].startswith(version[:5])
            weights = torch.load(checkpoint, weights_only=True)
            rows = [golden.attributes[place] for place in sorted(golden.attributes) if place.startswith("weights/")]
            assert [row["name"] for row in rows] == list(weights), path
            for row in rows:
                array = weights[row["name"]].numpy()
                assert row["sha256"] == hashlib.sha256(array.tobytes()).hexdigest(), (path, row["name"])
                assert abs(row["l2"] - numpy.linalg.norm(array.astype("f8").reshape(-1))) <= 1e-12 * row["l2"]


def two_runs_are_the_same_bytes(folder):
    for suffix in (".npz", ".h5"):
        (folder / "one").mkdir(exist_ok=True)
        contents = []
        for _ in range(2):
            record_again("1.12.1", "vq", folder / "one" / ("vq" + suffix))
            contents.append((folder / "one" / ("vq" + suffix)).read_bytes())
        assert contents[0] == contents[1], suffix
        assert os.listdir(folder / "one") == ["vq" + suffix], "something is left beside the golden"
        (folder / "one" / ("vq" + suffix)).unlink()


def a_checkpoint_is_found_by_key_and_prefix(folder):
    state = {"module." + name: value for name, value in zoo.build("bilstm").state_dict().items()}
    torch.save({"epoch": 3, "model": {"state": state}}, folder / "training.pth")
    new = record(folder / "key.npz", "--factory", f"{MODELS}/zoo.py:bilstm", "--checkpoint", folder / "training.pth", "--key", "model.state",
                 "--strip-prefix", "module.", "--inputs", golden_file("1.4.0", "bilstm"), "--model", "bilstm", "--samples", 48)
    plain = record_again("1.4.0", "bilstm", folder / "plain.npz")
    assert all(numpy.array_equal(array, new.arrays[path]) for path, array in plain.arrays.items())


def made_inputs_have_their_edges(folder):
    spec = json.dumps({"0": ["float32", [3, 10, 6]]})
    golden = record(folder / "made.npz", "--factory", f"{MODELS}/zoo.py:bilstm", "--input-spec", spec, "--cases", 2)
    cases = {golden.case(index)["name"]: golden.inputs(index)["0"].array for index in range(golden.count())}
    assert list(cases) == ["normal 0", "normal 1", "zeros", "tiny", "large", "padding", "silence", "batch 1", "batch 2"]
    assert not cases["zeros"].any()
    assert 0 < abs(cases["tiny"]).max() < 1e-28 and 0 < abs(cases["tiny"][cases["tiny"] != 0]).min() < 1e-37
    assert abs(cases["large"]).max() > 1000
    assert not cases["padding"][:, 5:].any() and cases["padding"][:, :5].all()
    assert not cases["silence"][:, 2:5].any() and cases["silence"][:, :2].all()
    assert [cases[f"batch {size}"].shape[0] for size in (1, 2)] == [1, 2]
    assert not numpy.array_equal(cases["normal 0"], cases["normal 1"])


NARROW = """
import torch

class Narrow(torch.nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.first, self.second = how, torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)
        self.window = torch.ones(4)

    def forward(self, x):
        y = self.first(x)
        if self.how == "float":
            y = y.float().to(x.dtype)
        elif self.how == "output":
            return self.second(y * self.window).to(torch.float32)
        elif self.how == "raises":
            y = torch.mm(y, torch.ones(4, 4, dtype=torch.float32))
        return self.second(y * self.window * torch.hann_window(4))
"""


def leaving_float64_is_told(folder):
    (folder / "narrow.py").write_text(NARROW)
    for how, expected in (("no", "ok"), ("float", "contaminated: float() to float32"), ("output", "contaminated: to() to float32"),
                          ("raises", "failed: normal 0: RuntimeError")):
        golden = record(folder / "narrow.npz", "--factory", f"{folder}/narrow.py:Narrow", "--kwargs", json.dumps({"how": how}),
                        "--input-spec", '{"0": ["float32", [2, 4]]}')
        assert golden.root["f64"].startswith(expected), (how, golden.root["f64"])
        assert golden.attributes["case/0/f32"]["error"] == ""
        assert bool(golden.attributes["case/0/f64"]["error"]) == (how == "raises")


LITERAL = """
import torch

class Literal(torch.nn.Module):
    def forward(self, x):
        return x * torch.tensor(0.1), x * 0.1, torch.hann_window(8)
"""


def float64_is_the_same_function(folder):
    """A tensor made of a literal keeps the value that float32 gives it; numbers and windows are exact."""
    (folder / "literal.py").write_text(LITERAL)
    golden = record(folder / "literal.npz", "--factory", f"{folder}/literal.py:Literal", "--input-spec", '{"0": ["float32", [2, 4]]}')
    x = golden.inputs(0)["0"].array.astype("f8")
    outputs = {path: found.array for path, found in golden.outputs(0, "f64").items()}
    assert numpy.array_equal(outputs["0"], x * float(numpy.float32(0.1)))
    assert numpy.array_equal(outputs["1"], x * 0.1)
    assert numpy.abs(outputs["2"] - (0.5 - 0.5 * numpy.cos(2 * numpy.pi * numpy.arange(8) / 8))).max() < 1e-15
    assert torch.get_default_dtype() == torch.float32 and torch.tensor(0.1).dtype == torch.float32


def an_end_leaves_nothing(folder):
    """Terminated in the middle of a forward: neither a golden nor a temporary file."""
    place = folder / "ended"
    place.mkdir()
    (folder / "slow.py").write_text("import os, signal, torch\nclass Slow(torch.nn.Module):\n    def forward(self, x):\n"
                                    "        os.kill(os.getpid(), signal.SIGTERM)\n        return x\n")
    for suffix in (".npz", ".h5"):
        done = subprocess.run([sys.executable, SOURCE / "scripts/torchferry_recorder.py", "--factory", f"{folder}/slow.py:Slow", "--input-spec",
                               '{"0": ["float32", [2, 4]]}', "-o", place / ("slow" + suffix)], capture_output=True)
        assert done.returncode == 143, done
        assert os.listdir(place) == [], os.listdir(place)


def noise_of_a_model_is_measured(folder):
    (folder / "noisy.py").write_text("import os, torch\nclass Noisy(torch.nn.Module):\n"
                                     "    def forward(self, x):\n        return x + float(ord(os.urandom(1))) + len(calls) * (calls.append(0) or 1)\n"
                                     "calls = []\n")
    golden = record(folder / "noisy.npz", "--factory", f"{folder}/noisy.py:Noisy", "--input-spec", '{"0": ["float32", [2, 4]]}', "--repeats", 3)
    assert golden.attributes["case/0/f32"]["repeats"] == 3 and golden.attributes["case/0/f32"]["repeat_maxabs"] > 0
    quiet = record_again("1.4.0", "vq", folder / "quiet.npz")
    assert all(row["repeat_maxabs"] == 0 for path, row in quiet.attributes.items() if path.endswith(("f32", "f64")))


def an_exported_model_computes_the_same(folder):
    for model, dynamic in (("convnet", True), ("vq", False)):
        old = golden_file("1.12.1", model)
        new = record_again("1.12.1", model, folder / "e.npz", "--export", folder / (model + ".pt2"), *(["--dynamic-batch"] if dynamic else []))
        program = torch.export.load(folder / (model + ".pt2")).module()
        assert set(program.state_dict()) == set(torch.load(old.with_suffix(".pth"), weights_only=True))
        for index in [0] + ([new.count() - 1] if dynamic else []):
            with torch.no_grad():
                outputs = program(torch.from_numpy(new.inputs(index)["0"].array))
            first = outputs[0] if isinstance(outputs, tuple) else outputs
            assert numpy.array_equal(first.numpy(), new.outputs(index, "f32")["0"].array), model


TESTS = (floor_of_aeromamba, containers_carry_the_same, samples_lie_where_the_layout_says, goldens_are_bound_to_their_checkpoints,
         two_runs_are_the_same_bytes, a_checkpoint_is_found_by_key_and_prefix, made_inputs_have_their_edges, leaving_float64_is_told,
         float64_is_the_same_function, an_end_leaves_nothing, noise_of_a_model_is_measured, an_exported_model_computes_the_same)


def main():
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        same_functions(sys.argv[1] if len(sys.argv) > 1 else "*", pathlib.Path(folder))
        for test in TESTS:
            test(pathlib.Path(folder))
            print(test.__name__.replace("_", " "))


if __name__ == "__main__":
    main()
