#!/usr/bin/env python3
"""Writes the checkpoints that scripts/bench measures; the same bytes on every run.

  model.pt         1.3 GB: a model of BERT base's shapes under DistributedDataParallel with Adam and apex amp, zip
  model_legacy.pt  the same as a legacy stream
  many.pt          100,000 tensors of 1 to 64 numbers in one state_dict
  small/           200 training states of half a megabyte in ten folders
  facts.json       sizes of the files and of the pickles in them
"""
import argparse
import collections
import json
import pathlib
import zipfile

import torch

FIRST_ID = 140245081273416  # what id() gave on 64-bit Linux; optimizers named parameters by it up to PyTorch 1.4
WIDTH, INNER, BLOCKS, WORDS = 768, 3072, 12, 30522


def bert_base(scale):
    """Names and shapes; scale takes blocks and words away."""
    yield "embeddings.word.weight", (max(1, round(WORDS * scale)), WIDTH)
    for i in range(max(1, round(BLOCKS * scale))):
        for part in ("query", "key", "value", "output"):
            yield "encoder.%d.attention.%s.weight" % (i, part), (WIDTH, WIDTH)
            yield "encoder.%d.attention.%s.bias" % (i, part), (WIDTH,)
        for part, shape in (("inner", (INNER, WIDTH)), ("outer", (WIDTH, INNER))):
            yield "encoder.%d.%s.weight" % (i, part), shape
            yield "encoder.%d.%s.bias" % (i, part), shape[:1]
        for part in ("norm1", "norm2"):
            yield "encoder.%d.%s.weight" % (i, part), (WIDTH,)
            yield "encoder.%d.%s.bias" % (i, part), (WIDTH,)


def perceptron():
    for i in range(10):
        yield "layers.%d.weight" % i, (64, 64)
        yield "layers.%d.bias" % i, (64,)


def small_tensors(count):
    for i in range(count):
        yield "layers.%d.%s" % (i // 2, ("weight", "bias")[i % 2]), (1 + i % 8, 1 + i % 7) if i % 2 == 0 else (1 + i % 64,)


def state_dict(shapes, random):
    state = collections.OrderedDict(("module." + name, torch.empty(shape).normal_(generator=random)) for name, shape in shapes)
    metadata = collections.OrderedDict({"": {"version": 1}, "module": {"version": 1}})
    for name in state:
        metadata.setdefault(name.rpartition(".")[0], {"version": 1})
    state._metadata = metadata
    return state


def adam(parameters, random):
    ids = [FIRST_ID + 72 * i for i in range(len(parameters))]
    state = {}
    for i, parameter in zip(ids, parameters):
        average = torch.empty(parameter.shape).normal_(0, 1e-3, generator=random)
        state[i] = {"step": 1000, "exp_avg": average, "exp_avg_sq": average * average}
    group = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False, "params": ids}
    return {"state": state, "param_groups": [group]}


def training_state(shapes, random):
    model = state_dict(shapes, random)
    amp = collections.OrderedDict(loss_scaler0={"loss_scale": 65536.0, "unskipped": 1000})
    return {"epoch": 3, "model_state": model, "optimizer_state": adam(model.values(), random), "amp": amp}


def tensors_of(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_of(item)


def zip_pickle_size(path):
    with zipfile.ZipFile(path) as archive:
        return next(entry.file_size for entry in archive.infolist() if entry.filename.endswith("/data.pkl"))


def legacy_pickle_size(path, checkpoint):
    """All but the storages, each of which is its count of elements and its bytes."""
    return path.stat().st_size - sum(8 + tensor.nbytes for tensor in tensors_of(checkpoint))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where to write; must exist")
    parser.add_argument("--scale", type=float, default=1.0, help="make everything that much smaller, to try things out")
    arguments = parser.parse_args()
    folder, scale = arguments.folder, arguments.scale
    random = torch.Generator().manual_seed(1)
    facts = {"torch": torch.__version__, "pickle": {}, "bytes": {}, "tensors": {}}

    def describe(path, checkpoint, pickle_size):
        facts["bytes"][path.name] = path.stat().st_size
        facts["tensors"][path.name] = sum(1 for _ in tensors_of(checkpoint))
        facts["pickle"][path.name] = pickle_size

    checkpoint = training_state(bert_base(scale), random)
    modern, legacy = folder / "model.pt", folder / "model_legacy.pt"
    torch.save(checkpoint, modern)
    torch.save(checkpoint, legacy, _use_new_zipfile_serialization=False)
    describe(modern, checkpoint, zip_pickle_size(modern))
    describe(legacy, checkpoint, legacy_pickle_size(legacy, checkpoint))
    del checkpoint

    many = folder / "many.pt"
    checkpoint = {"epoch": 3, "model_state": state_dict(small_tensors(round(100_000 * scale)), random)}
    torch.save(checkpoint, many)
    describe(many, checkpoint, zip_pickle_size(many))

    count = max(10, round(200 * scale))
    for i in range(count):
        path = folder / "small" / ("run%d" % (i % 10)) / ("epoch%03d.pth" % (i // 10))
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(training_state(perceptron(), random), path)
    facts["small_files"] = count
    facts["bytes"]["small"] = sum(path.stat().st_size for path in (folder / "small").rglob("*.pth"))
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
