"""Training goes on: a recorded training state, converted in both layouts, loads into the 2.x optimizer, and its next two steps give the
bits that the old PyTorch got. SGD, Adam and AdamW must; the other optimizers are reported without failing.
"""
import pathlib
import sys
import tempfile

import ferry_oracle as oracle

CLASSES = {"sgd": "SGD", "adam": "Adam", "adam_amsgrad": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "Adagrad",
           "adadelta": "Adadelta", "adamax": "Adamax", "asgd": "ASGD", "rprop": "Rprop", "nadam": "NAdam", "radam": "RAdam"}
MUST = ("sgd", "adam", "adam_amsgrad", "adamw")


class Recording:
    def __init__(self, path):
        self.path = path
        self.optimizer = path.name[len("resume_"):].split(".")[0]
        self.group = "must" if self.optimizer in MUST else "reported"
        self.label = path.name


def resumed(checkpoint, optimizer):
    """The recipe: parameters after the two steps that were recorded."""
    import numpy
    import torch
    parameters = [torch.nn.Parameter(t.clone()) for t in checkpoint["p"]]
    optimizer = getattr(torch.optim, CLASSES[optimizer])(parameters, lr=0.1)
    optimizer.load_state_dict(checkpoint["o"])
    for i in (5, 6):
        random = numpy.random.RandomState(50 + i)
        for p in parameters:
            p.grad = torch.from_numpy(random.randn(*p.shape).astype("f4"))
        optimizer.step()
    return [p.detach().numpy() for p in parameters]


def check(recording):
    import numpy
    result = {"label": recording.label, "group": recording.group, "failures": []}
    with numpy.load(recording.path.with_suffix(".npz")) as npz:
        want = [npz["arr_%d" % k] for k in range(len(npz.files))]
    with tempfile.TemporaryDirectory() as folder:
        for layout in ("keep", "clean"):
            out = pathlib.Path(folder, layout + ".pth")
            status, message = oracle.convert(recording.path, out, "--layout", layout)
            try:
                if status != 0:
                    raise RuntimeError("exit %s: %s" % (status, message))
                got = resumed(oracle.load_safely(out), recording.optimizer)
                if len(got) != len(want) or not all(numpy.array_equal(g, w) for g, w in zip(got, want)):
                    raise RuntimeError("other numbers after two steps")
            except Exception as error:
                result["failures"].append("%s: %s: %s" % (layout, type(error).__name__, str(error)[:150]))
    if result["failures"] and recording.group == "reported":
        result["skipped"] = True
    return result


if __name__ == "__main__":
    sys.exit(oracle.report(oracle.run_checks(check, [Recording(p) for p in oracle.numerics("resume_*.pth")])))
