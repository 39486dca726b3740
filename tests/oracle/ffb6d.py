"""FFB6D checkpoints (PyTorch 1.4 + apex) after `convert`: `scaler` in place of `amp`, taken by GradScaler with the scale and the tracker
that the apex state had; the model loads strict into a module tree built from the recorded names; Adam's state loads and steps.
And names of modules that contain `module.` are left alone.
"""
import pathlib
import sys
import tempfile

import ferry_oracle as oracle
from corpus_clean import common_prefix, rewritten, scaler_states
from ferry_oracle import items_of, text_of

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def module_tree(state):
    """Modules with parameters and buffers of the names and shapes of a state_dict; what is one tensor under two names is one Parameter."""
    import torch
    root, tied = torch.nn.Module(), {}
    for name, value in state.items():
        module, (*path, leaf) = root, name.split(".")
        for part in path:
            module = module._modules.setdefault(part, torch.nn.Module())
        if leaf in BUFFERS:
            module.register_buffer(leaf, torch.zeros_like(value))
        else:
            place = (value.untyped_storage()._cdata, value.storage_offset(), value.shape)
            module.register_parameter(leaf, tied.setdefault(place, torch.nn.Parameter(torch.zeros_like(value))))
    return root


def recorded_names(node):
    prefix = common_prefix(node)
    return [text_of(k)[len(prefix):] for k, _ in node["$dict"]]


def state_dict_checks(model, node):
    """The names are the recorded ones without their prefix, and a strict load takes them."""
    if list(model) != recorded_names(node):
        return ["names of the model differ"]
    tree = module_tree(model)
    tree.load_state_dict(model, strict=True)
    loaded = tree.state_dict()
    return [] if all(oracle.bits(loaded[k]) == oracle.bits(v) for k, v in model.items()) else ["values after load_state_dict differ"]


def scaler_checks(checkpoint, amp):
    import torch
    if "amp" in checkpoint or "scaler" not in checkpoint:
        return ["keys are %s" % list(checkpoint)]
    wanted, failures = scaler_states(amp), []
    states = [checkpoint["scaler"]]
    if len(wanted) > 1:
        all_of_them = checkpoint.get("scalers")
        all_of_them = list(all_of_them.values()) if isinstance(all_of_them, dict) else all_of_them or []
        if len(all_of_them) != len(wanted):
            return ["%d losses, %d scalers" % (len(wanted), len(all_of_them))]
        states += all_of_them
        wanted = wanted[:1] + wanted
    for state, want in zip(states, wanted):
        if want is None or state is None:
            if (want is None) != (state is None):
                failures.append("scaler is %s" % state)
            continue
        scaler = torch.amp.GradScaler("cpu")
        scaler.load_state_dict(state)
        want = items_of(want)
        if scaler.get_scale() != want["scale"]["$number"] or scaler._init_growth_tracker != want["_growth_tracker"]:
            failures.append("scaler is %s" % state)
        if (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) != (2.0, 0.5, 2000):
            failures.append("scaler is %s" % state)
    return failures


def step_of(node, case):
    return int(case.arrays[case.tensors[node["$tensor"]]["value"]]) if isinstance(node, dict) else node


def optimizer_checks(checkpoint, truth, case):
    import torch
    tree = module_tree(checkpoint["model_state"])
    tree.load_state_dict(checkpoint["model_state"])
    parameters, old = list(tree.parameters()), items_of(truth["optimizer_state"])
    adam = torch.optim.Adam(parameters)
    adam.load_state_dict(checkpoint["optimizer_state"])
    steps = sorted({step_of(items_of(s)["step"], case) for _, s in old["state"]["$dict"]})
    if len(adam.state) != len(old["state"]["$dict"]) or sorted({int(s["step"]) for s in adam.state.values()}) != steps:
        return ["Adam has %d states, had %d" % (len(adam.state), len(old["state"]["$dict"]))]
    for parameter, state in adam.state.items():
        if state["exp_avg"].shape != parameter.shape:
            return ["an Adam state belongs to another parameter"]
    before = [p.detach().clone() for p in parameters]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    if any(torch.equal(b, p) for b, p in zip(before, parameters) if p.numel()):
        return ["Adam's step changed nothing"]
    if {int(s["step"]) for s in adam.state.values()} != {s + 1 for s in steps} | ({1} if len(adam.state) > len(old["state"]["$dict"]) else set()):
        return ["Adam's step did not count"]
    return []


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "out.pth.tar")
        status, message = oracle.convert(case.file, out)
        if status != 0:
            result["failures"] = ["exit %s: %s" % (status, message)]
            return result
        checkpoint, truth = oracle.load_safely(out), items_of(case.tree)
        if "submodule" in case.name:
            state = checkpoint["state_dict"]
            result["failures"] = state_dict_checks(state, truth["state_dict"])
            if not any("module." in name for name in state):
                result["failures"].append("an inner module. was lost")
            return result
        result["failures"] = (oracle.Comparison(case, "clean").run(checkpoint, rewritten(case.tree, case.name))
                              + scaler_checks(checkpoint, truth["amp"]) + state_dict_checks(checkpoint["model_state"], truth["model_state"])
                              + optimizer_checks(checkpoint, truth, case))
    return result


if __name__ == "__main__":
    found = [c for pattern in ("seed_ffb6d_*", "ffb6d_*", "submodule_named_module*") for c in oracle.cases(pattern)]
    sys.exit(oracle.report(oracle.run_checks(check, found)))
