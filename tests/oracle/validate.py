"""What `validate` says is what happens: honest conversions pass; torch.load, the classes of torch.optim and GradScaler do with a file
what the test cases say they would, with and without faults; JUnit XML and SARIF are what their readers expect.
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings
import xml.etree.ElementTree

import ferry_oracle as oracle
import loadable


def validate(before, after, *options):
    """(exit status, the JSON report)."""
    done = subprocess.run([oracle.binary(), "validate", str(before), str(after), "--json", *[str(o) for o in options]],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if not done.stdout:
        raise RuntimeError("exit %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[:300]))
    return done.returncode, json.loads(done.stdout)


def cases_of(report):
    return {case["name"]: case for suite in report["suites"] for case in suite["cases"]}


# ------------------------------------------------------------------------------------------------------- conversions, and their faces

# Kept as it is, and GradScaler.load_state_dict raises on it where it is enabled: an empty state is a fault whoever wrote it.
FAULTY = {"scaler_disabled": ["scaler.loads"]}


class Conversion:
    """A checkpoint of an old PyTorch: its conversion passes, its own verdict of loading is torch's."""

    def __init__(self, case):
        self.case, self.group, self.label = case, "converted " + case.group, case.label


def check_conversion(item):
    result = {"label": item.label, "group": item.group, "failures": []}
    file = item.case.load().file
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for layout in ("clean", "keep"):
            out = folder / (layout + ".pth")
            status, _ = oracle.convert(file, out, "--layout", layout)
            if status != 0:
                result["skipped"] = True
                return result
            junit, sarif = folder / "v.xml", folder / "v.sarif"
            # What `keep` keeps, such as Adagrad groups of 1.1 without eps, may not fit the optimizers of 2.x.
            kept = ("--without", "optimizer.fits") if layout == "keep" else ()
            status, report = validate(file, out, "--layout", layout, "--junit", junit, "--sarif", sarif, "--force", *kept)
            bad = [c for c in cases_of(report).values() if c["status"] in ("failed", "error")]
            wanted = FAULTY.get(item.case.name, []) if layout == "keep" else []
            if status != (1 if wanted else 0) or [c["name"] for c in bad] != wanted:
                result["failures"].append("%s: exit %d: %s" % (layout, status, [(c["name"], c["message"], c["details"][:2]) for c in bad]))
            result["failures"] += faces(report, junit, sarif)
        if item.group.startswith("converted fixtures"):  # oracle.loadable asks about all of them
            result["failures"] += loading(file)
    return result


def loading(file):
    """The verdict about the file as the old PyTorch left it, against torch itself."""
    _, report = validate(file, file)
    found = cases_of(report)
    if "loads.weights_only" not in found:
        return ["no verdict about loading: %s" % list(found)]
    loads = loadable.ask_torch(file) is None
    failures = []
    if (found["loads.weights_only"]["status"] == "passed") != loads:
        failures.append("loads.weights_only is %s, torch: %s" % (found["loads.weights_only"]["status"], loads))
    if loads and (found["loads.mmap"]["status"] == "passed") != loadable.maps(file):
        failures.append("loads.mmap is %s, torch: %s" % (found["loads.mmap"]["status"], not loads))
    return failures


def faces(report, junit, sarif):
    """JUnit and SARIF say what the JSON report says."""
    failures = []
    totals = report["totals"]
    root = xml.etree.ElementTree.parse(junit).getroot()
    counted = {"tests": len(root.findall(".//testcase")), "failures": len(root.findall(".//failure")),
               "errors": len(root.findall(".//error")), "skipped": len(root.findall(".//skipped"))}
    wanted = {"tests": totals["checks"], "failures": totals["failed"], "errors": totals["errors"], "skipped": totals["skipped"]}
    said = {key: int(root.get(key)) for key in wanted}
    if not counted == wanted == said:
        failures.append("JUnit counts %s, says %s, the report %s" % (counted, said, wanted))
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    if names != [(suite["name"], case["name"]) for suite in report["suites"] for case in suite["cases"]]:
        failures.append("JUnit names other cases: %s" % names)
    if len(set(names)) != len(names):
        failures.append("two cases of JUnit have one name")
    return failures + sarif_faults(json.loads(sarif.read_text(encoding="utf-8")), totals)


def sarif_faults(log, totals):
    """The rules of the 2.1.0 standard that concern what we write (sections 3.13 – 3.58), and GitHub's wish for locations."""
    faults = []

    def want(truth, what):
        if not truth:
            faults.append("SARIF: " + what)

    want(log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json"), "version")
    want(len(log["runs"]) == 1, "one run")
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    want(run["tool"]["driver"]["name"] == "torchferry", "tool name")
    want(len({rule["id"] for rule in rules}) == len(rules), "ids of rules are unique")
    want(all(rule["shortDescription"]["text"] and rule["defaultConfiguration"]["level"] == "error" for rule in rules), "rules")
    want(len(run["results"]) == totals["failed"] + totals["errors"], "a result for each failure")
    for found in run["results"]:
        want(rules[found["ruleIndex"]]["id"] == found["ruleId"], "ruleIndex")
        want(found["level"] == "error" and found["message"]["text"], "level and message")
        place = found["locations"][0]["physicalLocation"]
        want(place["region"]["startLine"] >= 1 and " " not in place["artifactLocation"]["uri"], "location")
        want(found["partialFingerprints"], "fingerprint")
    invocation = run["invocations"][0]
    want(isinstance(invocation["executionSuccessful"], bool), "executionSuccessful")
    want(len(invocation["toolExecutionNotifications"]) == totals["skipped"], "a notification for each skip")
    return faults


# ------------------------------------------------------------------------------------------------------------------------- optimizers

OPTIMIZERS = {
    "SGD": {"lr": 0.1}, "SGD momentum": {"lr": 0.1, "momentum": 0.9}, "Adam": {}, "Adam amsgrad": {"amsgrad": True}, "AdamW": {},
    "NAdam": {}, "RAdam": {}, "Adamax": {}, "Adagrad": {}, "Adadelta": {}, "ASGD": {}, "RMSprop": {},
    "RMSprop centered": {"centered": True, "momentum": 0.9}, "Rprop": {}, "Adafactor": {}, "LBFGS": {}, "Muon": {"lr": 0.1},
}


def network(kind):
    import torch
    torch.manual_seed(0)
    if kind == "Muon":
        return torch.nn.Sequential(torch.nn.Linear(4, 6, bias=False), torch.nn.Linear(6, 3, bias=False))
    return torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(16, 3))


def make(name, parameters):
    import torch
    return getattr(torch.optim, name.split()[0])(parameters, **OPTIMIZERS[name])


def step(optimizer, model):
    import torch

    def closure():
        optimizer.zero_grad()
        shape = (2, 4) if isinstance(model[0], torch.nn.Linear) else (2, 2, 4, 4)
        loss = model(torch.ones(shape)).square().sum()
        loss.backward()
        return loss
    optimizer.step(closure)


class Drop:
    def __init__(self, key):
        self.key, self.name = key, "without " + key

    def __call__(self, state):
        del state["state"][1][self.key]


class Reshape:
    def __init__(self, key):
        self.key, self.name = key, key + " of another shape"

    def __call__(self, state):
        import torch
        state["state"][1][self.key] = torch.zeros(7, 5)


def group_longer(state):
    state["param_groups"][0]["params"].append(len(state["param_groups"][0]["params"]))


def group_longer_with_state(state):
    params = state["param_groups"][0]["params"]
    params.append(len(params))
    state["state"][params[-1]] = copy.deepcopy(state["state"][0])


def honest(state):
    pass


class Optimizer:
    def __init__(self, name, fault):
        self.name, self.fault, self.group = name, fault, "optimizer.fits"
        self.label = "%s, %s" % (name, getattr(fault, "name", None) or fault.__name__)


def optimizers():
    for name in OPTIMIZERS:
        yield Optimizer(name, honest)
    for name, keys in {"Adam": ("step", "exp_avg", "exp_avg_sq"), "Adam amsgrad": ("max_exp_avg_sq",), "NAdam": ("mu_product",),
                       "Adamax": ("exp_inf",), "RAdam": ("exp_avg_sq",), "Adagrad": ("sum",), "Adadelta": ("square_avg", "acc_delta"),
                       "ASGD": ("eta", "mu", "ax"), "RMSprop centered": ("grad_avg", "momentum_buffer"), "RMSprop": ("square_avg",),
                       "Rprop": ("prev", "step_size")}.items():
        for key in keys:
            yield Optimizer(name, Drop(key))
    for name, key in {"Adam": "exp_avg", "SGD momentum": "momentum_buffer", "Adagrad": "sum", "RMSprop": "square_avg",
                      "Adamax": "exp_inf", "Rprop": "prev"}.items():
        yield Optimizer(name, Reshape(key))
    for name in ("Adam", "SGD momentum"):
        yield Optimizer(name, group_longer_with_state)
    yield Optimizer("Adam", group_longer)


def torch_takes(item, model, state):
    """None, or why the next step is not made."""
    import torch
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer = make(item.name, model.parameters())
            optimizer.load_state_dict(copy.deepcopy(state))
            step(optimizer, model)
    except Exception as error:
        return "%s: %s" % (type(error).__name__, str(error)[:100])
    return None


def check_optimizer(item):
    import torch
    result = {"label": item.label, "group": item.group, "failures": []}
    model = network(item.name.split()[0])
    optimizer = make(item.name, model.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step(optimizer, model)
        step(optimizer, model)
    state = optimizer.state_dict()
    state = {"state": {k: dict(v) for k, v in state["state"].items()}, "param_groups": copy.deepcopy(state["param_groups"])}
    item.fault(state)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "training.pth")
        torch.save({"model": model.state_dict(), "optimizer": state}, file)
        _, report = validate(file, file)
    said = cases_of(report)["optimizer.fits"]
    why = torch_takes(item, model, state)
    if (said["status"] == "passed") != (why is None):
        result["failures"].append("optimizer.fits %s (%s), torch: %s" % (said["status"], said["message"], why or "steps"))
    return result


# ---------------------------------------------------------------------------------------------------------------------------- scalers

GOOD = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 20, "_growth_tracker": 3}


class Scaler:
    def __init__(self, label, state):
        self.label, self.state, self.group = label, state, "scaler.loads"


def scalers():
    yield Scaler("good", GOOD)
    yield Scaler("empty", {})
    for key in GOOD:
        yield Scaler("without " + key, {k: v for k, v in GOOD.items() if k != key})
    for key, value in (("scale", 0.0), ("scale", -1.0), ("scale", float("nan")), ("scale", "65536"), ("scale", None), ("scale", 1.0),
                       ("growth_factor", 1.0), ("growth_factor", 1.5), ("backoff_factor", 1.0), ("backoff_factor", 0.25),
                       ("growth_interval", 0), ("growth_interval", 1), ("_growth_tracker", 20), ("_growth_tracker", 19),
                       ("_growth_tracker", 3.5)):
        yield Scaler("%s %r" % (key, value), dict(GOOD, **{key: value}))


def scaler_works(state):
    """Loads, keeps what its constructor asks for, scales, grows after good steps and shrinks after a bad one."""
    import torch
    try:
        torch.amp.GradScaler("cpu", init_scale=state["scale"], growth_factor=state["growth_factor"],
                             backoff_factor=state["backoff_factor"], growth_interval=state["growth_interval"])
        scaler = torch.amp.GradScaler("cpu")
        scaler.load_state_dict(state)
        start = scaler.get_scale()
        if not (0 < start < float("inf")) or float(state["scale"]) != start:
            return False
        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([weight], lr=0.0)

        def train(bad):
            optimizer.zero_grad()
            scaler.scale((weight * (float("inf") if bad else 1.0)).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            return scaler.get_scale()
        seen = [train(False) for _ in range(state["growth_interval"] + 1)]
        return max(seen) > start and train(True) < seen[-1] and isinstance(state["_growth_tracker"], int)
    except Exception:
        return False


def check_scaler(item):
    import torch
    result = {"label": item.label, "group": item.group, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "training.pth")
        torch.save({"model": {"w": torch.ones(2)}, "scaler": item.state}, file)
        _, report = validate(file, file)
    said, works = cases_of(report)["scaler.loads"], scaler_works(item.state)
    if (said["status"] == "passed") != works:
        result["failures"].append("scaler.loads %s (%s), torch: %s" % (said["status"], said["message"], works))
    return result


def check(item):
    return {Conversion: check_conversion, Optimizer: check_optimizer, Scaler: check_scaler}[type(item)](item)


if __name__ == "__main__":
    items = [Conversion(case) for case in oracle.cases()] + list(optimizers()) + list(scalers())
    sys.exit(oracle.report(oracle.run_checks(check, items)))
