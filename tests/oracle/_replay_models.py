"""Small models that between them use what an exported program can hold; fixtures/write_pt2.py and replay.py share them."""
import math

import torch
import torch.nn as nn


class Block(nn.Module):
    """One ReLU called twice: the second call is another record."""

    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(x + self.relu(self.bn(self.conv(x))))


class Conv(nn.Module):
    """Shared modules, a changing batch, arithmetic on sizes, a dict with a tuple and a number in it, a block without gradients."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.layer = nn.Sequential(Block(4), Block(4))
        self.shared = nn.ReLU()
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        x = self.shared(self.stem(x))
        x = self.shared(self.layer(x))
        batch = x.shape[0]
        y = self.fc(x.mean((2, 3))).reshape(batch * 5)
        with torch.no_grad():
            y = y * 2
        return {"logits": y.view(-1, 5), "pair": (x, y), "batch": batch}


class Recurrent(nn.Module):
    """Tuples out of modules."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 5, batch_first=True)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y, (h, c) = self.lstm(x)
        z, _ = self.gru(y)
        return self.fc(z), h, c


class Counter(nn.Module):
    """A buffer that every pass changes, one through a view; the passes must not see each other."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(3))
        self.register_buffer("scale", torch.full((3,), 0.5), persistent=False)
        self.table = torch.arange(3.0)

    def forward(self, x):
        self.count.add_(1)
        self.count[1:].mul_(3)
        return x * self.count * self.scale + self.table


class Modes(nn.Module):
    """Graphs inside the graph: autocast and a choice."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = self.a(x)
        return torch.cond(x.sum() > 0, lambda v: self.a(v), lambda v: self.b(v) + 1, (x,)) + z


class Zoo(nn.Module):
    """Tied weights, attention, indexing, splitting, infinities, nested and keyword inputs, symbolic reals."""

    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(10, 4)
        self.mha = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.tied = nn.Linear(4, 10, bias=False)
        self.tied.weight = self.emb.weight

    def forward(self, tokens, pair, *, mask):
        a, b = torch.split(self.emb(tokens), 2, dim=-1)
        c = torch.cat([a, b], -1).clamp(min=-math.inf) + pair[0]
        weight = torch.where(mask["keep"], c, float("-inf")).softmax(-1).nan_to_num()
        picked = c[:, :, [0, 1]]
        filled = picked.masked_fill(picked > 0.5, 0)
        full = torch.full((tokens.shape[0],), tokens.shape[0] ** 0.5)
        zeros = torch.zeros(tokens.shape[0] // 2 + 1, 2) + pair[1]
        out, _ = self.mha(c, c, c)
        ramp = torch.arange(tokens.shape[1], device=tokens.device).to(torch.float32)
        up = torch.nn.functional.interpolate(c.unsqueeze(1), scale_factor=2.0, mode="nearest")
        return [weight, filled], full, zeros, self.tied(self.norm(out)), ramp, up, None, torch.chunk(c, 2, 1)


def seeded(make):
    torch.manual_seed(7)
    model = make()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.uniform_(-0.2, 0.2)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
    return model.eval()


def all_models():
    """name -> (model, positional inputs, keyword inputs, dynamic shapes or None)"""
    generator = torch.Generator().manual_seed(11)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    batch = torch.export.Dim("batch")
    tokens = torch.randint(0, 10, (4, 6), generator=generator)
    return {
        "conv": (seeded(Conv), (normal(2, 3, 8, 8),), {}, {"x": {0: batch}}),
        "recurrent": (seeded(Recurrent), (normal(2, 5, 4),), {}, None),
        "counter": (seeded(Counter), (normal(3),), {}, None),
        "modes": (seeded(Modes), (normal(2, 3),), {}, None),
        "zoo": (seeded(Zoo), (tokens, (normal(4, 6, 4), normal(2))), {"mask": {"keep": normal(4, 6, 4) > 0}},
                {"tokens": {0: batch}, "pair": ({0: batch}, None), "mask": {"keep": {0: batch}}}),
    }


def export(name):
    model, args, kwargs, dynamic = all_models()[name]
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model, torch.export.export(model, args, kwargs, dynamic_shapes=dynamic, strict=False)
