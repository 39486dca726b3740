#!/usr/bin/env python3
"""What torchferry-replay costs beside PyTorch: forward passes of the same exported programs, one thread, in turns.

  bench_replay.py REPLAY WORK ROUNDS [DEVICE]     prints {"conv": {"f32": [ratio…], "both": [ratio…]}, …}: seconds of a pass in float32, and of one in
                                         float32 and one in float64, over those of an eager pass
"""
import json
import pathlib
import subprocess
import sys
import time
import warnings

import numpy
import torch
import torch.nn as nn

REPEATS = 15


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                                  nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.body(x))


class Dense(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        return x + self.body(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(64, 96, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(192, 10)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


def models():
    torch.manual_seed(1)
    conv = nn.Sequential(nn.Conv2d(3, 32, 3, stride=2), *[Residual(32) for _ in range(6)], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return {"conv": (conv.eval(), torch.randn(2, 3, 64, 64)),
            "dense": (nn.Sequential(*[Dense(128) for _ in range(8)]).eval(), torch.randn(2, 64, 128)),
            "recurrent": (Recurrent().eval(), torch.randn(2, 60, 64))}


def eager_seconds(model, x):
    wait = torch.cuda.synchronize if x.is_cuda else lambda: None
    best = float("inf")
    with torch.no_grad():
        for _ in range(REPEATS):
            wait()
            start = time.perf_counter()
            model(x)
            wait()
            best = min(best, time.perf_counter() - start)
    return best


def replay_seconds(program, work, name, device):
    request = {"protocol": "torchferry-replay/1", "model": str(work / (name + ".pt2")), "kind": "pt2", "golden": str(work / (name + ".npz")),
               "out": str(work / "out_replay.npz"), "runs": ["f32", "f64"], "threads": 1, "repeats": REPEATS, "device": device}
    done = subprocess.run([program], input=json.dumps(request) + "\n", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return {event["run"]: event["seconds"] for event in events if event["event"] == "run"}


def main():
    program, work, rounds = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    device = sys.argv[4] if len(sys.argv) > 4 else "cpu"
    torch.set_num_threads(1)
    figures = {}
    for name, (model, x) in models().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(torch.export.export(model, (x,), strict=False), str(work / (name + ".pt2")))
        attributes = {"": {"layout": 1, "kind": "torch-golden"}, "case/0": {"name": "normal", "edge": 0}}
        numpy.savez(work / (name + ".npz"), **{"case/0/in/0": x.numpy(), "__attrs__": numpy.frombuffer(json.dumps(attributes).encode(), dtype=numpy.uint8)})
        figures[name] = {"f32": [], "both": []}
        model, x = model.to(device), x.to(device)
        eager_seconds(model, x)
        for _ in range(rounds):
            eager, replay = eager_seconds(model, x), replay_seconds(program, work, name, device)
            figures[name]["f32"].append(replay["f32"] / eager)
            figures[name]["both"].append((replay["f32"] + replay["f64"]) / eager)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
