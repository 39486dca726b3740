"""The verdicts on a rerun, in Python: what a golden of an old PyTorch says of a golden of a new one, by the bounds of the method.

    semantic    float64 old against float64 new: ‖old64 − new64‖₂ ≤ 1024 · max(‖e‖₂, 4u‖new64‖₂) · 2⁻²⁹, per output and per module,
                where e = new32 − new64 is the rounding error of the same run. Both sides compute the same function or do not.
                Integers have to be equal where the model returns them. Those between modules may differ as long as nothing
                comes of it: which of several equally near neighbours topk names is nobody's promise.
    rounding    float32: each side's own error against its own float64 is at most four times the other's (eight in the largest element),
                with the floor 4u‖new64‖. Where a decision (an argmin, a topk) falls otherwise in float32 than in float64 there
                is no such bound: the case is unstable.

Written without a look at torchferry's own code, so that each can judge the other.
"""
import functools
import json
import math

import numpy

SEMANTIC = 1024.0
ROUNDING_L2, ROUNDING_INF = 4.0, 8.0
U = 2.0 ** -24
DOUBLED = 2.0 ** -29  # from the rounding of float32 to that of float64


def sample_indices(count, samples):
    """By the text of the layout, one index at a time."""
    state, indices = count, []
    for k in range(samples):
        state = (6364136223846793005 * state + 1442695040888963407) % 2 ** 64
        low, high = k * count // samples, (k + 1) * count // samples
        indices.append(low + (state >> 33) % (high - low))
    return indices


# -- Reading

class Record:
    """One array of a run with what is said of it."""

    def __init__(self, array, attributes):
        self.array, self.attributes = array, attributes

    @property
    def key(self):
        return self.attributes["module"], self.attributes["call"], self.attributes["output"]


class Golden:
    """The arrays and attributes of a golden by their paths, read with numpy or h5py alone."""

    def __init__(self, path):
        self.attributes, self.arrays = {}, {}
        if str(path).endswith(".npz"):
            with numpy.load(path) as archive:
                self.arrays = {name: archive[name] for name in archive.files}
            self.attributes = json.loads(self.arrays.pop("__attrs__").tobytes().decode())
        else:
            import h5py
            with h5py.File(path, "r") as file:
                self._keep("", file)
                file.visititems(self._keep)

    def _keep(self, path, item):
        found = {name: value.decode() if isinstance(value, bytes) else value if isinstance(value, str) else value.item()
                 for name, value in item.attrs.items()}
        if found:
            self.attributes[path] = found
        if hasattr(item, "shape"):
            self.arrays[path] = item[()]

    @property
    def root(self):
        return self.attributes[""]

    def count(self):
        return len({path.split("/")[1] for path in self.attributes if path.startswith("case/")})

    def case(self, index):
        return self.attributes[f"case/{index}"]

    def under(self, prefix):
        """{rest of the path: Record} of the arrays below a path, in order."""
        return {path[len(prefix):]: Record(self.arrays[path], self.attributes[path])
                for path in sorted(self.arrays) if path.startswith(prefix)}

    def outputs(self, index, run):
        return self.under(f"case/{index}/{run}/out/")

    def modules(self, index, run):
        """{(module, call, output): Record} in the order of completion."""
        return {record.key: record for record in self.under(f"case/{index}/{run}/mod/").values()}

    def inputs(self, index):
        return self.under(f"case/{index}/in/")


@functools.lru_cache(maxsize=16)
def committed(path):
    """A golden that does not change while a test runs: opening one by h5py costs more than judging it."""
    return Golden(path)


# -- Measuring

def exact(array):
    """No floating point: what is the same or is not."""
    return array.dtype.kind in "biu"


def as_real(array):
    flat = numpy.asarray(array).reshape(-1)
    if flat.dtype.kind == "c":
        flat = flat.astype(numpy.complex128).view(numpy.float64)
    return flat.astype(numpy.float64)


def difference(first, second):
    """first − second; where neither is finite and both are the same nothing, where only one is finite all."""
    first, second = as_real(first), as_real(second)
    with numpy.errstate(invalid="ignore", over="ignore"):
        delta = first - second
    same = (first == second) | (numpy.isnan(first) & numpy.isnan(second))
    return numpy.where(same, 0.0, numpy.where(numpy.isfinite(delta), delta, numpy.inf))


def error_of(narrow, wide):
    """The rounding error of float32; elements that overflow there say nothing of it."""
    delta = difference(narrow, wide)
    return numpy.where(numpy.isfinite(delta), delta, 0.0)


def norm(values, order=2):
    values = numpy.abs(as_real(values))
    values = numpy.where(numpy.isnan(values), 0.0, values)
    top = float(values.max()) if values.size else 0.0
    if order == numpy.inf or top in (0.0, math.inf):
        return top
    return top * float(numpy.sqrt(numpy.square(values / top).sum()))


def finite_norm(values, order=2):
    values = as_real(values)
    return norm(values[numpy.isfinite(values)], order)


def ratio(distance, allowed):
    return 0.0 if distance == 0 else distance / allowed if allowed > 0 else math.inf


# -- Judging

def semantic_ratio(old64, new32, new64):
    """≤ 1024: the same function."""
    if old64.shape != new64.shape:
        return math.inf
    if exact(old64) or exact(new64):
        return 0.0 if numpy.array_equal(old64, new64) else math.inf
    allowed = max(norm(error_of(new32, new64)), 4 * U * finite_norm(new64)) * DOUBLED if new32.shape == new64.shape else 0.0
    return ratio(norm(difference(old64, new64)), allowed)


def rounding_ratio(old32, old64, new32, new64):
    """≤ 1: neither side rounds much worse than the other."""
    worst = 0.0
    for order, factor in ((2, ROUNDING_L2), (numpy.inf, ROUNDING_INF)):
        floor = 4 * U * finite_norm(new64, order)
        old, new = norm(error_of(old32, old64), order), norm(error_of(new32, new64), order)
        worst = max(worst, ratio(old, factor * max(new, floor)), ratio(new, factor * max(old, floor)))
    return worst


def is_unstable(golden, index):
    """Whether float32 decides otherwise than float64 does."""
    for narrow, wide in ((golden.outputs(index, "f32"), golden.outputs(index, "f64")),
                         (golden.modules(index, "f32"), golden.modules(index, "f64"))):
        for key, record in wide.items():
            if key in narrow and exact(record.array) and not numpy.array_equal(record.array, narrow[key].array):
                return True
    return False


class CaseVerdict:
    """One input: the worst ratios, the first module that is not the same function, and modules that decided ties otherwise."""

    def __init__(self, old, new, index):
        self.name, self.edge = old.case(index)["name"], bool(old.case(index)["edge"])
        runs = {(side, run): (golden.outputs(index, run), golden.modules(index, run))
                for side, golden in (("old", old), ("new", new)) for run in ("f32", "f64")}
        self.semantic, self.rounding, self.compared = 0.0, 0.0, 0
        bad = []  # in the order of execution
        self.unstable = is_unstable(old, index) or is_unstable(new, index)
        for kind in (1, 0):  # modules in their order, then outputs
            old32, old64 = runs["old", "f32"][kind], runs["old", "f64"][kind]
            new32, new64 = runs["new", "f32"][kind], runs["new", "f64"][kind]
            for key in old64:
                if key not in new64 and kind:
                    continue  # fast paths of later versions skip modules
                if key not in new64:
                    raise ValueError(f"the new run has no output {key}")
                self.compared += 1
                found = semantic_ratio(old64[key].array, new32[key].array, new64[key].array)
                if found > SEMANTIC:
                    bad.append(key[0] or "(the model)" if kind else "(output %s)" % key)
                if not (kind and exact(old64[key].array)):
                    self.semantic = max(self.semantic, found)
                if not kind and not exact(old64[key].array) and not self.unstable:
                    self.rounding = max(self.rounding, rounding_ratio(old32[key].array, old64[key].array, new32[key].array, new64[key].array))
        self.first_bad = "" if self.same_function else bad[0]
        self.ties = sorted(set(bad)) if self.same_function else []

    @property
    def same_function(self):
        return self.semantic <= SEMANTIC

    @property
    def rounds_alike(self):
        return self.rounding <= 1.0


class Verdict:
    """All inputs of a model. The place of a fault is the first bad module of the first input that shows it."""

    def __init__(self, old, new):
        if old.root["model"] != new.root["model"] or old.count() != new.count():
            raise ValueError("these goldens are not of the same model and inputs")
        self.cases = [CaseVerdict(old, new, index) for index in range(old.count())]
        self.semantic = max(case.semantic for case in self.cases)
        self.rounding = max(case.rounding for case in self.cases)
        self.same_function = all(case.same_function for case in self.cases)
        self.rounds_alike = all(case.rounds_alike for case in self.cases)
        self.compared = sum(case.compared for case in self.cases)
        self.unstable = [case.name for case in self.cases if case.unstable]
        self.first_bad = next((case.first_bad for case in self.cases if case.first_bad), "")
