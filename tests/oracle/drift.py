"""The figures of `diff --json` against numpy in long double: 10,000 random pairs of tensors of every pair of types that PyTorch 2.x stores,
full of edge values (denormals, ±0, NaN with payloads, infinities, the largest numbers) and in any layout, and some large ones.

    python drift.py [NUMBER-OF-PAIRS]
"""
import fractions
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import _drift_reference as reference
import ferry_oracle as oracle

NAMES = ("uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "bool", "float16", "bfloat16", "float32", "float64",
         "complex64", "complex128", "float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz", "float8_e4m3fnuz", "float8_e8m0fnu")
BATCH = 100


def edges(dtype, itemsize, rng):
    """Patterns at which something changes: ends of exponents and fractions, signs, quiet and signalling NaNs."""
    part = dtype if dtype not in reference.COMPLEX else reference.COMPLEX[dtype]
    width = 8 * itemsize if part == dtype else 4 * itemsize
    top = 1 << (width - 1)
    fraction = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}.get(part, 2)
    exponents = top - 1 & ~((1 << fraction) - 1)
    plain = [0, 1, 2, (1 << fraction) - 1, 1 << fraction, exponents - 1, exponents, exponents + 1, exponents | 1 << fraction - 1, top - 1]
    word = rng.choice(plain + [p | top for p in plain]) & (2 * top - 1)
    return word.to_bytes(width // 8, "little")


def make_bytes(dtype, itemsize, count, rng):
    if dtype == "bool":
        return bytes(rng.randrange(2) for _ in range(count))
    mode, out = rng.randrange(4), bytearray()
    while len(out) < count * itemsize:
        if mode == 0 or rng.random() < 0.2:
            out += edges(dtype, itemsize, rng)
        elif mode == 1:
            out += rng.randbytes(itemsize)
        else:                                                     # numbers of a usual size
            out += ordinary(dtype, itemsize, rng)
    return bytes(out[:count * itemsize])


def ordinary(dtype, itemsize, rng):
    import torch
    kind = getattr(torch, dtype)
    if kind.is_complex:
        return torch.tensor([complex(rng.gauss(0, 1), rng.gauss(0, 1))], dtype=kind).view(torch.uint8).numpy().tobytes()
    number = rng.gauss(0, 1) if kind.is_floating_point else rng.randrange(100)
    return torch.tensor([number]).to(kind).view(torch.uint8).numpy().tobytes()


def changed(data, itemsize, rng):
    """The same elements, some of them with other bits."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def tensor_of(dtype, data, shape, rng):
    """In row-major order, or as a view with other strides and an offset."""
    import torch
    kind = getattr(torch, dtype)
    if not data:
        return torch.empty(shape, dtype=kind)
    tensor = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(kind).reshape(shape)
    layout, axes = rng.randrange(4), range(len(shape) - 1, -1, -1)
    if layout == 1 and shape:
        return tensor.permute(*axes).contiguous().permute(*axes)
    if layout == 2:                                # every second element, from the fourth on
        size = tensor.element_size()
        spread = rng.randbytes(3 * size) + b"".join(data[at:at + size] + rng.randbytes(size) for at in range(0, len(data), size))
        room = torch.frombuffer(bytearray(spread), dtype=torch.uint8)
        return room.view(kind).as_strided(shape, [2 * step for step in tensor.stride()], 3) if dtype != "bool" else tensor
    return tensor


def make_pair(rng, largest):
    import torch
    before = rng.choice(NAMES)
    after = before if rng.random() < 0.5 else rng.choice(NAMES)
    size = lambda name: torch.empty(0, dtype=getattr(torch, name)).element_size()
    shape = tuple(rng.randrange(0, 7) for _ in range(rng.randrange(4))) if largest < 1000 else (rng.randrange(largest // 2, largest),)
    count = 1
    for n in shape:
        count *= n
    data = make_bytes(before, size(before), count, rng)
    other = changed(data, size(before), rng) if after == before and rng.random() < 0.5 and before != "bool" else \
        make_bytes(after, size(after), count, rng)
    return tensor_of(before, data, shape, rng), tensor_of(after, other, shape, rng)


def figures_of(row, shape):
    """What the row says, in the words of the reference."""
    got = dict(row["drift"])
    words = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
    got = {name: words.get(value, value) if isinstance(value, str) else value for name, value in got.items()}
    ulp = fractions.Fraction(str(got.pop("max_ulp")))
    got["max_ulp"], got["max_ulp_fraction"] = int(ulp), float(ulp - int(ulp))
    bins = [0] * 67
    for end, count in got.pop("ulp_histogram"):
        end = fractions.Fraction(str(end))
        bins[0 if end == 0 else 1 if end == fractions.Fraction(1, 2) else 2 + (int(end) - 1).bit_length()] = count
    got["ulps"] = bins
    worst = got.pop("worst")
    flat = None
    if worst is not None:
        flat = 0
        for at, size in zip(worst["index"], shape):
            flat = flat * size + at
    got["worst"] = flat
    return got


class Batch:
    def __init__(self, seed, pairs, largest):
        self.seed, self.pairs, self.largest = seed, pairs, largest
        self.label, self.group = "batch %d" % seed, "up to %d elements" % largest


def check(batch):
    import torch
    rng = random.Random(batch.seed)
    result = {"label": batch.label, "group": batch.group, "failures": [], "pairs": batch.pairs}
    pairs = {"t%d" % i: make_pair(rng, batch.largest) for i in range(batch.pairs)}
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("before.pt", "after.pt")]
        for k in range(2):
            torch.save({name: pair[k] for name, pair in pairs.items()}, files[k])
        command = [oracle.binary(), "diff", *map(str, files), "--json", "--no-progress", "--no-check-dtype", "--spectral", "none"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, 1):
            result["failures"].append("exit %d: %s" % (done.returncode, done.stderr.decode()[:300]))
            return result
        # Long decimals stay as they are written: ULP are exact.
        rows = {row["name"]: row for row in json.loads(done.stdout, parse_float=Decimal)["tensors"]}
    for name, (before, after) in pairs.items():
        expected, row = reference.drift(before, after), rows[name]
        if row["state"] == "equal":
            if before.dtype != after.dtype or expected["bits_differing"]:
                result["failures"].append("%s: %s is said to be equal" % (name, before.dtype))
            continue
        wrong = reference.disagreements(figures_of(row, before.shape), expected)
        if wrong:
            result["failures"].append("%s, %s and %s, %s: %s" % (name, before.dtype, after.dtype, tuple(before.shape), "; ".join(wrong)))
    return result


class Decimal(float):
    """A double that remembers its digits."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __str__(self):
        return self.text


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    batches = [Batch(1000 + i, BATCH, 6) for i in range(count // BATCH)] + [Batch(i, 10, 20_000) for i in range(4)]
    sys.exit(oracle.report(oracle.run_checks(check, batches)))
