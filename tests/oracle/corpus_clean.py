"""Every recorded checkpoint through `convert` as people run it (layout clean): wrapper prefixes gone exactly where every key of a
state_dict carried them, apex `amp` become GradScaler state, optimizer keys indices and steps tensors, views without the bytes nobody
refers to, and every value still the old one. What is expected is the sidecar's tree, rewritten here by those rules.

    python corpus_clean.py [NAME-PATTERN]
"""
import pathlib
import re
import sys
import tempfile

import ferry_oracle as oracle
from ferry_oracle import items_of, plain_key, text_of

PREFIXES = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")
GRAD_SCALER = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")


def number(node):
    value = plain_key(node)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


# -- prefixes

def common_prefix(node):
    """The wrapper prefixes that every key of this state_dict carries ("" when it is none or has none)."""
    keys, prefix = [text_of(k) for k, _ in node["$dict"]], ""
    if not keys or None in keys or not any(isinstance(v, dict) and "$tensor" in v for _, v in node["$dict"]):
        return ""
    while True:
        fits = [p for p in PREFIXES if all(k.startswith(prefix + p) and len(k) > len(prefix + p) for k in keys)]
        if not fits:
            return prefix
        prefix += fits[0]


def stripped(node, prefix):
    """The state_dict and its _metadata without the prefix. The wrappers' own _metadata entries give way to the model's."""
    def cut(pairs, is_metadata):
        kept = {}
        for key, value in pairs:
            name = text_of(key)
            if is_metadata and name + "." == prefix:
                kept[""] = value
            elif name.startswith(prefix):
                kept[name[len(prefix):]] = value
            elif is_metadata and name == "":
                kept.setdefault("", value)
        return [[k, v] for k, v in kept.items()]
    new = dict(node, **{"$dict": cut(node["$dict"], False)})
    if "attributes" in node:
        attributes = items_of(node["attributes"])
        if "_metadata" in attributes:
            attributes["_metadata"] = dict(attributes["_metadata"], **{"$dict": cut(attributes["_metadata"]["$dict"], True)})
        new["attributes"] = {"$dict": [[k, v] for k, v in attributes.items()]}
    return new


# -- apex amp

def is_amp(node):
    pairs = node.get("$dict") if isinstance(node, dict) else None
    return bool(pairs) and all(re.fullmatch(r"loss_scaler\d+", text_of(k) or "") and set(items_of(v)) == {"loss_scale", "unskipped"}
                               for k, v in pairs)


def scaler_states(amp, case_name=""):
    """GradScaler states from apex loss scalers, in order; None for a static scale, which has no equivalent."""
    states = []
    for _, loss_scaler in amp["$dict"]:
        fields = items_of(loss_scaler)
        scale, unskipped = number(fields["loss_scale"]), number(fields["unskipped"])
        state = {"$dict": [["scale", {"$number": scale}], ["growth_factor", {"$number": 2.0}], ["backoff_factor", {"$number": 0.5}],
                           ["growth_interval", 2000], ["_growth_tracker", unskipped]]}
        static = (scale == 1.0 and unskipped == 0) or unskipped >= 2000
        if not static and "static" in case_name:     # the file does not say so: either answer is right
            state = {"$one_of": [state, None]}
        states.append(None if static else state)
    return states


# -- apex FP16_Optimizer

def is_fp16(node):
    return isinstance(node, dict) and "$dict" in node and {"optimizer_state_dict", "dynamic_loss_scale"} <= set(items_of(node))


def fp16_scaler(wrapper):
    """The GradScaler state of a dynamic loss scaler; None of a static one. apex/fp16_utils/loss_scaler.py, apex/amp/scaler.py"""
    fields = items_of(wrapper["loss_scaler"]["state"]) if "loss_scaler" in wrapper else wrapper
    if not wrapper["dynamic_loss_scale"]:
        return None
    if "_loss_scale" in fields:
        scale, factor, interval, tracker = number(fields["_loss_scale"]), 2.0, fields["_scale_seq_len"], fields["_unskipped"]
    else:
        scale, factor, interval = number(fields["cur_scale"]), number(fields["scale_factor"]), fields["scale_window"]
        tracker = (fields["cur_iter"] - fields["last_overflow_iter"] - 1) % interval
    values = (scale, factor, 1 / factor, interval, tracker)
    return {"$dict": [[name, {"$number": value}] for name, value in zip(GRAD_SCALER, values)]}


# -- optimizers

def is_optimizer(node):
    if not isinstance(node, dict) or "$dict" not in node:
        return False
    fields = items_of(node)
    if "$dict" not in (fields.get("state") or {}) or "$list" not in (fields.get("param_groups") or {}):
        return False
    return all("$dict" in g and "$list" in (items_of(g).get("params") or {}) for g in fields["param_groups"]["$list"])


def optimizer(node):
    """Ids become indices in the order of param_groups; counters become tensors; newer keys of the groups may be there."""
    fields, index = items_of(node), {}
    # SparseAdam, known by groups with betas and no weight_decay, is the one optimizer whose step is an int in 2.13 as well.
    counts_in_ints = any("betas" in items_of(g) and "weight_decay" not in items_of(g) for g in fields["param_groups"]["$list"])
    for group in fields["param_groups"]["$list"]:
        for parameter in items_of(group)["params"]["$list"]:
            index.setdefault(plain_key(parameter), len(index))
    group_step = {}
    groups = []
    for group in fields["param_groups"]["$list"]:
        pairs = []
        for key, value in group["$dict"]:
            if text_of(key) == "params":
                value = {"$list": [index[plain_key(p)] for p in value["$list"]]}
                for i in value["$list"]:
                    group_step[i] = number(items_of(group).get("step"))
            elif text_of(key) == "step":             # apex FusedAdam and FusedLAMB: it belongs into each parameter's state
                continue
            pairs.append([key, value])
        groups.append({"$dict": pairs, "more": True})
    state = []
    for key, value in fields["state"]["$dict"]:
        key = index.get(plain_key(key), plain_key(key))
        if "$dict" in value:
            pairs = [[k, v if counts_in_ints else counter(text_of(k), v)] for k, v in value["$dict"]]
            history = items_of(value)
            if "old_dirs" in history and "ro" in history:       # LBFGS until 1.1 filled it with None
                pairs = [[k, {"$list": v["$list"][:len(history["old_dirs"]["$list"])]} if text_of(k) == "ro" else v] for k, v in pairs]
            if group_step.get(key) is not None and "step" not in items_of(value):
                pairs.append(["step", {"$step": group_step[key]}])
            value = dict(value, **{"$dict": pairs, "more": True})
        state.append([key, value])
    rest = {"state": dict(fields["state"], **{"$dict": state, "any_order": True}), "param_groups": {"$list": groups}}
    return dict(node, **{"$dict": [[k, rest.get(text_of(k), v)] for k, v in node["$dict"]]})


def counter(name, node):
    if name == "step" and number(node) is not None:
        return {"$step": number(node)}
    return {"$number": number(node)} if name in ("eta", "mu", "mu_product") and number(node) is not None else node


# -- schedulers

def scheduler(node):
    """CyclicLR and OneCycleLR without their bound methods, with what their classes in 2.x want instead."""
    fields = items_of(node)
    if {"step_ratio", "scale_mode"} <= set(fields) and "_scale_fn_custom" not in fields:
        gone, new = {"scale_fn"}, [["_scale_fn_custom", None]]
    elif "anneal_func" in fields and "total_steps" in fields:
        gone, new = {"anneal_func"}, [["_anneal_func_type", fields["anneal_func"]["bound_method"].rsplit("_", 1)[-1]]]
        if "step_size_up" in fields:
            names = (("initial_lr", "max_lr", "max_momentum", "base_momentum"), ("max_lr", "min_lr", "base_momentum", "max_momentum"))
            ends = (fields["step_size_up"], fields["total_steps"] - 1)
            keys = ("start_lr", "end_lr", "start_momentum", "end_momentum")
            gone |= {"step_size_up", "step_size_down"}
            new.append(["_schedule_phases", {"$list": [{"$dict": [["end_step", end]] + [list(p) for p in zip(keys, four)]}
                                                       for end, four in zip(ends, names)]}])
    else:
        return None
    return dict(node, **{"$dict": [[k, v] for k, v in node["$dict"] if text_of(k) not in gone] + new})


# -- the whole tree

def rewritten(node, case_name):
    if isinstance(node, list):
        return [rewritten(n, case_name) for n in node]
    if not isinstance(node, dict):
        return node
    if is_optimizer(node):
        return optimizer(node)
    if "$dict" not in node:
        return {k: (v if k in ("$tensor", "$ref") else rewritten(v, case_name)) for k, v in node.items()}
    prefix = common_prefix(node)
    if prefix:
        return stripped(node, prefix)
    if scheduler(node):
        return scheduler(node)
    pairs = []
    for key, value in node["$dict"]:
        if text_of(key) == "amp" and is_amp(value):
            states = scaler_states(value, case_name)
            pairs.append(["scaler", states[0]])
            if len(states) > 1:
                names = [k for k, _ in value["$dict"]]
                pairs.append(["scalers", {"$one_of": [{"$list": states}, {"$dict": list(zip(names, states)), "class": "any"},
                                                      {"$dict": list(zip(range(len(names)), states)), "class": "any"}]}])
        elif is_fp16(value):                                             # the optimizer inside; the rest beside it
            wrapper = items_of(value)
            masters = wrapper.get("fp32_from_fp16", wrapper.get("fp32_groups"))
            pairs += [[key, optimizer(wrapper["optimizer_state_dict"])], ["scaler", fp16_scaler(wrapper)], ["fp32_masters", masters]]
        elif text_of(key) == "scaler" and value == {"$dict": []}:        # of a disabled GradScaler
            pairs.append([key, {"$one_of": [value, None]}])
        else:
            pairs.append([key, rewritten(value, case_name)])
    any_order = node.get("any_order", False) or any(text_of(k) == "amp" for k, _ in node["$dict"])
    return dict(node, **{"$dict": pairs, "any_order": any_order})


def check(case):
    case.load()
    result = {"label": case.label, "group": case.group, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "out.pth")
        status, message = oracle.convert(case.file, out)
        if status != 0:
            result["failures"] = ["exit %s: %s" % (status, message)]
            return result
        try:
            loaded = oracle.load_safely(out)
        except Exception as error:
            result["failures"] = ["does not load: " + " ".join(str(error).split())[:200]]
            return result
        result["failures"] = oracle.Comparison(case, "clean").run(loaded, rewritten(case.tree, case.name))
    return result


if __name__ == "__main__":
    pattern = sys.argv[1] if len(sys.argv) > 1 else "*"
    sys.exit(oracle.report(oracle.run_checks(check, oracle.cases(pattern))))
