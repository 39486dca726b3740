"""Training states of every era in the classes of 2.x: each recorded optimizer, scheduler, loss scaler and apex state, converted as people
do it, loads into its class of torch.optim or torch.amp and goes on from there, or is None with the reason in the report.

What goes on is compared with someone else: the original file loaded by PyTorch itself where it can (weights_only=False), learning rates
that were recorded when the corpus was made, and apex's own scalers, written down here from its source, over thousands of steps.

    python migration_states.py [NAME-PATTERN]        a row for every case: writer, case, class, result
"""
import csv
import fnmatch
import json
import pathlib
import random
import sys
import tempfile
import warnings

import ferry_oracle as oracle
from ferry_oracle import items_of, plain_key, text_of

PATTERNS = ("apex*", "opt_*", "sched_*", "scaler_*", "rng_*", "norm_*state*", "swa_averaged_model", "seed_ffb6d*")
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad", "adadelta": "Adadelta",
              "adamax": "Adamax", "asgd": "ASGD", "rprop": "Rprop", "nadam": "NAdam", "radam": "RAdam", "lbfgs": "LBFGS",
              "sparseadam": "SparseAdam"}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


# ---------------------------------------------------------------------------------------------------------------- finding states

def is_optimizer(value):
    return isinstance(value, dict) and isinstance(value.get("state"), dict) and isinstance(value.get("param_groups"), list)


def walk(value, test, path="", seen=None):
    """(path, value) of everything that passes the test, outermost first."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return []
    seen.add(id(value))
    found = [(path, value)] if test(value) else []
    if isinstance(value, dict):
        for k, v in value.items():
            found += walk(v, test, "%s.%s" % (path, k) if path else str(k), seen)
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            found += walk(v, test, "%s.%d" % (path, i) if path else str(i), seen)
    return found


def model_parameters(checkpoint):
    import torch
    for key in ("model", "model_state", "state_dict"):
        if isinstance(checkpoint.get(key), dict):
            return [v for k, v in checkpoint[key].items() if k.split(".")[-1] not in BUFFERS and torch.is_tensor(v)]
    return []


def parameters_for(state, checkpoint):
    """Parameters of the shapes that the states have, in the order of the groups; those without state as the model has them."""
    import torch
    model = [p for p in model_parameters(checkpoint) if p.is_floating_point()]
    count = sum(len(g["params"]) for g in state["param_groups"])
    torch.manual_seed(1)
    made = []
    for index in range(count):
        entry = {k: v for k, v in state["state"].get(index, {}).items() if torch.is_tensor(v) and k not in ("step", "eta", "mu", "mu_product")}
        like = next(iter(entry.values())) if entry and "old_dirs" not in state["state"].get(index, {}) else None
        if like is None:
            like = model[index] if index < len(model) else torch.zeros(2)
        made.append(torch.nn.Parameter(torch.randn(like.shape, dtype=like.dtype if like.is_floating_point() else torch.float32)))
    return made


def grouped(parameters, state):
    groups, at = [], 0
    for group in state["param_groups"]:
        groups.append({"params": parameters[at:at + len(group["params"])]})
        at += len(group["params"])
    return groups


# ---------------------------------------------------------------------------------------------------------------- optimizers

def stepped(name, state, checkpoint, steps=2):
    """Parameters after some steps from a state, in the named class. Raises where it does not load or step."""
    import copy
    import torch
    parameters = parameters_for(state, checkpoint)
    made = getattr(torch.optim, name)(grouped(parameters, state), lr=0.1)
    made.load_state_dict(copy.deepcopy(state))
    before = [p.detach().clone() for p in parameters]
    r = torch.Generator().manual_seed(5)
    for _ in range(steps):
        for p in parameters:
            p.grad = torch.randn(p.shape, generator=r).to(p.dtype)
            if name == "SparseAdam":
                p.grad = p.grad.to_sparse(1) if p.dim() > 1 else p.grad.to_sparse()
        made.step((lambda: sum((p * p.grad).sum() for p in parameters)) if name == "LBFGS" else None)
    if all(torch.equal(b, p) for b, p in zip(before, parameters)) and any(g["lr"] for g in made.param_groups):
        raise AssertionError("two steps changed nothing")
    finite = all(torch.isfinite(t).all() for s in state["state"].values() if isinstance(s, dict) for t in s.values() if torch.is_tensor(t))
    if finite and not all(torch.isfinite(p).all() for p in parameters):
        raise AssertionError("two steps gave numbers that are not finite")
    return parameters


def counts(state):
    return sorted(float(s["step"]) for s in state["state"].values() if isinstance(s, dict) and "step" in s)


def original_of(case, **options):
    """The file as PyTorch itself reads it, or None."""
    import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(case.file, weights_only=False, map_location="cpu", **options)
    except Exception:
        return None


def renumbered(state):
    """The original's ids as numbers, which 2.x does by itself, so that its parameters can be made here."""
    index = {}
    for group in state["param_groups"]:
        for p in group["params"]:
            index.setdefault(p, len(index))
    return {"state": {index.get(k, k): v for k, v in state["state"].items()},
            "param_groups": [dict(g, params=[index[p] for p in g["params"]]) for g in state["param_groups"]]}


def optimizer_checks(name, path, state, checkpoint, original, want_same=True):
    """(result, failures) of one optimizer state in its class."""
    import torch
    try:
        got = stepped(name, state, checkpoint)
    except Exception as error:
        return "", ["%s does not go on from %s: %s: %s" % (name, path, type(error).__name__, str(error)[:120])]
    if original is None or not want_same:
        return "loads, steps", []
    try:
        node = original
        for part in path.split(".") if path else ():
            node = node[part]
        want = stepped(name, renumbered(node), original)
    except Exception as error:
        return "loads, steps (2.13 cannot from the original: %s)" % type(error).__name__, []
    same = all(oracle.bits(g) == oracle.bits(w) for g, w in zip(got, want))
    return "loads, 2 steps bit-equal to the original's", [] if same else ["%s: two steps differ from those of the original" % path]


# ---------------------------------------------------------------------------------------------------------------- loss scalers

class ApexDynamic:
    """apex/amp/scaler.py, LossScaler.update_scale."""

    def __init__(self, scale, unskipped, window=2000):
        self.scale, self.unskipped, self.window = scale, unskipped, window

    def update(self, overflow):
        if overflow:
            self.scale, self.unskipped = self.scale / 2.0, 0
        else:
            self.unskipped += 1
        if self.unskipped == self.window:
            self.scale, self.unskipped = self.scale * 2.0, 0


class ApexCounting:
    """apex/fp16_utils/loss_scaler.py, DynamicLossScaler.update_scale; apex/contrib/optimizers/fp16_optimizer.py has the same."""

    def __init__(self, scale, at, overflow, factor, window):
        self.scale, self.at, self.overflow, self.factor, self.window = scale, at, overflow, factor, window

    def update(self, overflow):
        if overflow:
            self.scale, self.overflow = max(self.scale / self.factor, 1), self.at
        elif (self.at - self.overflow) % self.window == 0:
            self.scale *= self.factor
        self.at += 1


def scaler_checks(state, apex):
    """A GradScaler that takes the state follows apex's scaler through good steps and overflows."""
    import torch
    scaler = torch.amp.GradScaler("cpu")
    scaler.load_state_dict(state)
    if scaler.state_dict() != state:
        return ["GradScaler's state is %s" % scaler.state_dict()]
    if apex is None:
        return []
    if scaler.get_scale() != apex.scale:
        return ["scale %s, apex had %s" % (scaler.get_scale(), apex.scale)]
    scale, tracker = torch.tensor(scaler.get_scale()), torch.tensor(scaler._init_growth_tracker, dtype=torch.int32)
    r = random.Random(3)
    for step in range(6000):
        if apex.scale > 1e30:                   # a window of a few steps: GradScaler stops at infinity
            break
        overflow = step % 2500 == 2400 or (step < 400 and r.random() < 0.02) and apex.scale > 64
        torch._amp_update_scale_(scale, tracker, torch.tensor(float(overflow)), state["growth_factor"], state["backoff_factor"],
                                 state["growth_interval"])
        apex.update(overflow)
        if float(scale) != apex.scale:
            return ["after %d steps the scale is %s, apex's %s" % (step + 1, float(scale), apex.scale)]
    return []


def recorded_number(node, case):
    value = plain_key(node)
    return value if isinstance(value, (int, float)) else float(value)


def amp_truth(amp):
    """Of each loss of an amp state: what apex had, or None where it was static."""
    wanted = []
    for _, scaler in amp["$dict"]:
        fields = items_of(scaler)
        scale, unskipped = float(plain_key(fields["loss_scale"])), plain_key(fields["unskipped"])
        static = (scale == 1.0 and unskipped == 0) or unskipped >= 2000
        wanted.append(None if static else ApexDynamic(scale, unskipped))
    return wanted


# ---------------------------------------------------------------------------------------------------------------- kinds of cases

class Run:
    """One conversion: what came of it, and what the report says."""

    def __init__(self, case, folder, *options):
        self.path = pathlib.Path(folder, "out.pth")
        self.report = pathlib.Path(folder, "report.json")
        for p in (self.path, self.report):
            p.unlink(missing_ok=True)
        self.status, self.message = oracle.convert(case.file, self.path, "--report", self.report, *options)
        self.checkpoint = oracle.load_safely(self.path) if self.status == 0 else None
        lines = json.loads(self.report.read_text())["files"][0] if self.report.exists() else {}
        self.lines = lines.get("changes", []) + lines.get("remarks", [])

    def says(self, code):
        return [line for line in self.lines if line["code"] == code]


def check_optimizer(case, run, result):
    import torch
    name = case.name[len("opt_"):]
    cls = next(OPTIMIZERS[key] for key in sorted(OPTIMIZERS, key=len, reverse=True) if name.startswith(key))
    result["class"] = "torch.optim." + cls
    original = original_of(case)
    outcomes = []
    for path, state in walk(run.checkpoint, is_optimizer):
        outcome, failures = optimizer_checks(cls, path, state, run.checkpoint, original)
        result["failures"] += failures
        outcomes.append(outcome)
        old = [s for p, s in walk(original, is_optimizer) if p == path]
        if old and counts(old[0]) != counts(state):
            result["failures"].append("step counts differ")
        if state["state"] and not run.says("TF622") and not run.says("TF623") and cls not in ("LBFGS", "SparseAdam"):
            result["failures"].append("the report names no parameter")
    result["result"] = "; ".join(outcomes)
    if not outcomes:
        result["failures"].append("no optimizer state in the output")


def scheduler_class(name):
    import torch
    sched = torch.optim.lr_scheduler
    return {"step": lambda o: sched.StepLR(o, 77), "multistep": lambda o: sched.MultiStepLR(o, [77]), "exp": lambda o: sched.ExponentialLR(o, 0.5),
            "cosine": lambda o: sched.CosineAnnealingLR(o, 77), "plateau": lambda o: sched.ReduceLROnPlateau(o, patience=77),
            "warmrestarts": lambda o: sched.CosineAnnealingWarmRestarts(o, 77), "lambda_closure": lambda o: sched.LambdaLR(o, lambda e: 0.9 ** e),
            "lambda_function": lambda o: sched.LambdaLR(o, lambda e: 0.9 ** e), "lambda_object": lambda o: sched.LambdaLR(o, LinearDecay(77)),
            "cyclic": lambda o: sched.CyclicLR(o, 0.5, 0.7, mode="triangular2", cycle_momentum=False),
            "onecycle": lambda o: sched.OneCycleLR(o, max_lr=0.7, total_steps=77, anneal_strategy="linear", cycle_momentum=True),
            "sequential": lambda o: sched.SequentialLR(o, [sched.ConstantLR(o, 0.5, 77), sched.ExponentialLR(o, 0.5)], [77]),
            "pickled_object": lambda o: sched.StepLR(o, 77)}[name]


class LinearDecay:
    def __init__(self, n):
        self.n = n

    def __call__(self, epoch):
        return max(0.0, 1 - epoch / self.n)


def rates(case, checkpoint, state, steps=3):
    """Learning rates of the next steps in the class of 2.x, built with other arguments: all must come from the state."""
    import copy
    import torch
    found = walk(checkpoint, is_optimizer)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2)) for _ in range(6)], lr=0.1, momentum=0.9)
    scheduler = scheduler_class(case.name[len("sched_"):])(optimizer)
    if found:
        saved = copy.deepcopy(found[0][1])
        saved["state"] = {}
        optimizer.load_state_dict(saved if isinstance(saved["param_groups"][0]["params"][0], int) else renumbered(saved))
    scheduler.load_state_dict(copy.deepcopy(state))
    got = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(steps):
            optimizer.step()
            scheduler.step(*([1.0] if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau) else []))
            got.append(optimizer.param_groups[0]["lr"])
    return type(scheduler).__name__, got


def is_scheduler(value):
    return isinstance(value, dict) and ("last_epoch" in value or "_schedulers" in value) and not is_optimizer(value)


def check_scheduler(case, run, result):
    states = walk(run.checkpoint, is_scheduler)
    if not states:
        result["failures"].append("no scheduler state in the output")
        return
    cls, got = rates(case, run.checkpoint, states[0][1])
    result["class"] = "lr_scheduler." + cls
    recorded = resumes().get((case.group.split("/")[-1], case.name)) or resumes().get(("2.13.0", case.name))
    recorded = None if "lambda" in case.name else recorded      # of functions that are not in the file
    result["result"] = "loads, lr %.6g" % got[0]
    if recorded is not None:
        result["result"] += " as recorded"
        if "%.6g" % got[0] != "%.6g" % recorded:
            result["failures"].append("the next learning rate is %.6g, recorded is %.6g" % (got[0], recorded))
    original = original_of(case)
    if original is not None:
        olds = walk(original, is_scheduler)
        try:
            same = rates(case, original, olds[0][1])[1]
        except Exception as error:
            result["result"] += "; 2.13 cannot load the original: %s" % type(error).__name__
            same = got
        if same != got and case.name not in ("sched_onecycle",):        # there the original leaves the curve to the arguments
            result["failures"].append("learning rates %s, from the original %s" % (got, same))
    if "lambda_closure" in case.name or "lambda_function" in case.name:
        if not run.says("TF625"):
            result["failures"].append("the report does not name the function that is lost")
        result["result"] += "; function named as lost"


_RESUMES = {}


def resumes():
    """Learning rates after one more step, recorded with the arguments of the writer: RESUMES-IN-2.13.tsv."""
    path = oracle.SHARED / "corpus" / "written-by-torch" / "RESUMES-IN-2.13.tsv"
    if not _RESUMES and path.exists():
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row["what"].startswith("sched_") and "lr=" in row["step_after_load"]:
                    _RESUMES[row["writer"], row["what"]] = float(row["step_after_load"].split("lr=")[1])
    return _RESUMES


def check_scaler(case, run, result):
    result["class"] = "torch.amp.GradScaler"
    state = run.checkpoint.get("scaler", "missing")
    if "disabled" in case.name:
        result["result"] = "None: it was disabled"
        if state is not None or not run.says("TF522"):
            result["failures"].append("scaler is %s" % (state,))
        return
    result["result"] = "loads"
    result["failures"] += scaler_checks(state, None)
    original = original_of(case)
    if original is not None and isinstance(original.get("scaler"), dict) and original["scaler"] != state:
        result["failures"].append("another state than the original's")


def check_apex(case, run, result):
    import torch
    truth, classes, outcomes = items_of(case.tree), [], []
    for path, state in walk(run.checkpoint, is_optimizer):
        name = apex_class(case.name, state)
        if name is None:
            classes.append("none in torch.optim")
            outcomes.append("LAMB or NovoGrad: plain data")
            if not any("no such class" in line["what"] for line in run.says("TF624")):
                result["failures"].append("the report does not say that torch has no such class")
            name = "Adam"                       # its moments are those of Adam: they must fit at least
        else:
            classes.append("torch.optim." + name)
        outcome, failures = optimizer_checks(name, path, state, run.checkpoint, None)
        outcomes.append(outcome)
        result["failures"] += failures
        result["failures"] += moment_checks(case, state)
    if "amp" in truth:
        classes.append("torch.amp.GradScaler")
        outcomes.append(amp_checks(run, amp_truth(truth["amp"]), result))
    elif is_fp16(truth):
        classes.append("torch.amp.GradScaler")
        outcomes.append(fp16_checks(case, run, truth, result))
    if case.name == "apex_syncbn":
        classes.append("torch.nn.SyncBatchNorm")
        outcomes.append(syncbn_checks(run, result))
    if case.name == "apex_ddp_prefix":
        outcomes.append("module. gone")
        if any(k.startswith("module.") for k in run.checkpoint["model_state"]):
            result["failures"].append("module. is still there")
    result["class"], result["result"] = ", ".join(dict.fromkeys(classes)), "; ".join(o for o in outcomes if o)


def apex_class(name, state):
    """The class of torch that takes the state; None where there is none."""
    group = state["param_groups"][0]
    if "grad_averaging" in group:
        return None
    if "fusedadagrad" in name:
        return "Adagrad"
    if "betas" in group:
        return "AdamW" if "bias_correction" in group and group["weight_decay"] else "Adam"
    return "SGD"


def moment_checks(case, state):
    """Every tensor of the state is one that the old process had, bit for bit, and of its type."""
    import torch
    wanted = {(t["dtype"], oracle_bytes(case.arrays[t["value"]])) for t in case.tensors if t.get("value") in case.arrays}
    for index, entry in state["state"].items():
        for key, value in entry.items():
            if torch.is_tensor(value) and key != "step" and (str(value.dtype)[6:], oracle.bits(value)) not in wanted:
                return ["state %s.%s is no tensor of the old process" % (index, key)]
    return []


def oracle_bytes(array):
    import numpy
    return numpy.ascontiguousarray(array).tobytes()


def amp_checks(run, wanted, result):
    checkpoint = run.checkpoint
    if "amp" in checkpoint or "scaler" not in checkpoint:
        result["failures"].append("keys are %s" % list(checkpoint))
        return ""
    if not run.says("TF620"):
        result["failures"].append("the report does not say what amp was")
    states = checkpoint.get("scalers", [checkpoint["scaler"]])
    outcomes = []
    for state, apex in zip(states, wanted):
        if state is None:
            reasons = run.says("TF602")
            outcomes.append("None: static" if reasons else "None")
            if apex is not None or not reasons:
                result["failures"].append("a scaler is None without a reason")
        else:
            outcomes.append("scaler as apex's over 6,000 steps")
            result["failures"] += scaler_checks(state, apex) if apex is not None else ["a static scale became %s" % state]
    if len(states) != len(wanted):
        result["failures"].append("%d losses, %d scalers" % (len(wanted), len(states)))
    return ", ".join(dict.fromkeys(outcomes))


def is_fp16(truth):
    node = truth.get("optimizer")
    return isinstance(node, dict) and "$dict" in node and "optimizer_state_dict" in items_of(node)


def fp16_truth(wrapper):
    """What apex's scaler had, or None where it was static."""
    scaler = wrapper.get("loss_scaler")
    fields = items_of(scaler["state"]) if scaler else wrapper
    get = lambda key: plain_key(fields[key])
    if "_loss_scale" in fields:
        return ApexDynamic(get("_loss_scale"), get("_unskipped"), get("_scale_seq_len")) if get("dynamic") else None
    if not plain_key(wrapper["dynamic_loss_scale"]):
        return None
    return ApexCounting(float(get("cur_scale")), get("cur_iter"), get("last_overflow_iter"), float(get("scale_factor")), get("scale_window"))


def fp16_checks(case, run, truth, result):
    import torch
    checkpoint, wrapper = run.checkpoint, items_of(truth["optimizer"])
    apex, state = fp16_truth(wrapper), checkpoint.get("scaler", "missing")
    if state is None:
        if apex is not None or not run.says("TF602"):
            result["failures"].append("the scaler is None without a reason")
        outcome = "None: static"
    else:
        outcome = "scaler as apex's over 6,000 steps"
        result["failures"] += scaler_checks(state, apex)
    masters = [t for group in checkpoint.get("fp32_masters", []) for t in group]
    recorded = [case.arrays[case.tensors[t["$tensor"]]["value"]] for group in wrapper.get("fp32_from_fp16", wrapper.get("fp32_groups"))["$list"]
                for t in group["$list"]]
    if [oracle.bits(m) for m in masters] != [oracle_bytes(r) for r in recorded]:
        result["failures"].append("fp32_masters are not those of the old process")
    return outcome + "; " + masters_checks(case, masters, result)


def masters_checks(case, masters, result):
    """With --fp32-masters model each half parameter is replaced by the master that rounds to it."""
    import torch
    with tempfile.TemporaryDirectory() as folder:
        default, placed = Run(case, folder).checkpoint, Run(case, folder, "--fp32-masters", "model")
        if "fp32_masters" in placed.checkpoint or not placed.says("TF521"):
            result["failures"].append("masters were not put into the model")
            return ""
        halves = [k for k, v in default["model"].items() if v.dtype == torch.float16 and k.split(".")[-1] not in BUFFERS]
        for key, value in default["model"].items():
            after = placed.checkpoint["model"][key]
            if key in halves and (after.dtype != torch.float32 or not torch.equal(after.half(), value)):
                result["failures"].append("the master of %s does not round to it" % key)
            elif key not in halves and oracle.bits(after) != oracle.bits(value):
                result["failures"].append("%s changed" % key)
        if len(halves) != len(masters):
            result["failures"].append("%d half parameters, %d masters" % (len(halves), len(masters)))
        dropped = Run(case, folder, "--fp32-masters", "drop", "--static-scale", "frozen")
        if "fp32_masters" in dropped.checkpoint or dropped.checkpoint["scaler"] is None:
            result["failures"].append("--fp32-masters drop, --static-scale frozen: %s" % list(dropped.checkpoint))
        else:
            result["failures"] += scaler_checks(dropped.checkpoint["scaler"], None)
        return "masters round to the model's halves"


def syncbn_checks(run, result):
    import torch
    state = {k[len("bn."):]: v for k, v in run.checkpoint["model_state"].items() if k.startswith("bn.")}
    for module in (torch.nn.SyncBatchNorm(4), torch.nn.BatchNorm2d(4)):
        module.load_state_dict(state, strict=True)
    if not any("SyncBatchNorm" in line["what"] for line in run.says("TF627")):
        result["failures"].append("the report does not name apex's SyncBatchNorm")
    return "SyncBatchNorm and BatchNorm2d load it strict"


def check_rng(case, run, result):
    """Every generator takes its state; the numbers are those that the original gives here, or gave where it was written."""
    import numpy
    import torch
    original, got = original_of(case, encoding="latin1"), run.checkpoint
    if run.says("TF628"):
        with tempfile.TemporaryDirectory() as folder:
            got = Run(case, folder, "--fix", "rng_states").checkpoint
    if case.name == "rng_draws":
        result["class"], result["result"] = "torch", "state taken by --fix rng_states, the draws of 1.1.0"
        for name, draw in (("randn", lambda: torch.randn(3)), ("randn_double", lambda: torch.randn(3, dtype=torch.float64)),
                           ("rand", lambda: torch.rand(9)), ("randperm", lambda: torch.randperm(9))):
            torch.set_rng_state(got["rng_state"])
            if not torch.equal(draw(), got[name]):
                result["failures"].append("other numbers from %s" % name)
        return
    result["class"], result["result"] = "torch, numpy, random", "states taken, same draws"

    def draws(states, torch_state):
        torch.set_rng_state(torch_state)
        kind, keys, *rest = states["numpy"]
        numpy.random.set_state((str(kind), numpy.asarray(keys), *rest))
        version, words, gauss = states["python"]
        random.setstate((version, tuple(words), gauss))
        return torch.randn(9).tolist(), numpy.random.randn(9).tolist(), [random.random() for _ in range(9)]
    old = original["torch"]
    if old.numel() == 5048:
        result["result"] += ", by --fix rng_states; 2.13 refuses the original"
        if not run.says("TF628"):
            result["failures"].append("the report does not name the state")
        old = torch.cat([old, got["torch"][5048:]])
    if draws(original, old) != draws(got, got["torch"]):
        result["failures"].append("other draws")


def check_norm(case, run, result):
    """weight_norm and spectral_norm in the parametrizations of 2.x, by --fix: strict, with the output of the old hooks; and back."""
    import torch
    from torch.nn.utils import parametrizations, spectral_norm, weight_norm
    def build(weight, spectral):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if case.name == "norm_parametrized_state":
                made = torch.nn.Sequential(spectral(torch.nn.Linear(3, 2)))
                if any(name.startswith("wn.") for name in run.checkpoint):      # parametrizations.weight_norm is there since 2.0
                    made.add_module("wn", weight(torch.nn.Linear(3, 2)))
                return made.eval()
            return torch.nn.Sequential(weight(torch.nn.Linear(3, 2)), spectral(torch.nn.Conv2d(2, 2, 1)), weight(torch.nn.Conv1d(2, 3, 2), dim=None)).eval()
    old, new = build(weight_norm, spectral_norm), build(parametrizations.weight_norm, parametrizations.spectral_norm)
    here, there, rules = old, new, ["weight_norm", "spectral_norm"]
    if case.name == "norm_parametrized_state":
        here, there, rules = new, old, ["weight_norm_hooks", "spectral_norm_hooks"]
    back_rules = [r[:-6] if r.endswith("_hooks") else r + "_hooks" for r in rules]
    here.load_state_dict(run.checkpoint, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        fixed = Run(case, folder, *[a for r in rules for a in ("--fix", r)])
        there.load_state_dict(fixed.checkpoint, strict=True)
        if set(there.state_dict()) != set(fixed.checkpoint):
            result["failures"].append("names are %s" % list(fixed.checkpoint))
        back = pathlib.Path(folder, "back.pth")
        oracle.convert(fixed.path, back, *[a for r in back_rules for a in ("--fix", r)])
        again = oracle.load_safely(back)
        if list(again) != list(run.checkpoint) or any(oracle.bits(again[k]) != oracle.bits(v) for k, v in run.checkpoint.items()):
            result["failures"].append("there and back is not the same")
    torch.manual_seed(2)
    for x, module, other in zip((torch.randn(5, 3), torch.randn(1, 2, 4, 4) if len(old) == 3 else torch.randn(5, 3), torch.randn(1, 2, 5)), old, new):
        if not torch.allclose(module(x), other(x), rtol=1e-6, atol=1e-7):
            result["failures"].append("other outputs")
    result["class"], result["result"] = "nn.utils.parametrizations", "strict, same outputs; and back"


def check_averaged(case, run, result):
    """AveragedModel: taken as it is by the class of 2.x, and by --fix as the weights of the plain model."""
    states = [s for _, s in walk(run.checkpoint, lambda v: isinstance(v, dict) and "n_averaged" in v)]
    with tempfile.TemporaryDirectory() as folder:
        fixed = Run(case, folder, "--fix", "averaged_model")
        if not states or not fixed.says("TF526"):
            result["failures"].append("no averaged model was found")
            return
        names = [k[len("module."):] for k in states[0] if k != "n_averaged"]
        plain = [s for _, s in walk(fixed.checkpoint, lambda v: isinstance(v, dict) and list(v) == names)]
        if not plain or any(oracle.bits(plain[0][k]) != oracle.bits(states[0]["module." + k]) for k in names):
            result["failures"].append("the plain model has other names or values")
    result["class"], result["result"] = "swa_utils.AveragedModel", "as it is; plain by --fix averaged_model"


KINDS = (("opt_*", check_optimizer), ("sched_*", check_scheduler), ("scaler_*", check_scaler), ("rng_*", check_rng), ("norm_*", check_norm),
         ("swa_averaged_model", check_averaged),
         ("*", check_apex))


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": [], "class": "", "result": ""}
    with tempfile.TemporaryDirectory() as folder:
        run = Run(case, folder)
        if run.status != 0:
            result.update(skipped=True, result="not readable yet: " + run.message)
            return result
        next(function for pattern, function in KINDS if fnmatch.fnmatch(case.name, pattern))(case, run, result)
    return result


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    found = [c for c in oracle.cases(pattern) if any(fnmatch.fnmatch(c.name, p) for p in PATTERNS)]
    results = oracle.run_checks(check, found)
    print("%-24s %-34s %-48s %s" % ("writer", "case", "class", "result"))
    for r in results:
        label = r["label"].rsplit("/", 1)
        print("%-24s %-34s %-48s %s" % (label[0], label[1], r.get("class", ""), "FAILED" if r["failures"] else r.get("result", "")))
    print()
    return oracle.report(results)


if __name__ == "__main__":
    sys.exit(main())
