"""What `torchferry hash` tells apart and what it holds for one thing: checkpoints of real PyTorch in pairs. Every part of a quantized, sparse or nested
tensor counts, in whatever container it lies; names that are spelt alike do not let tensors change places; tensors without data are no empty file."""

import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import ferry_oracle as oracle

import torch

X, Y = torch.ones(3), torch.zeros(3)
INTEGERS = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)


def per_tensor(scale, zero_point):
    return {"w": torch._make_per_tensor_quantized_tensor(INTEGERS, scale, zero_point)}


def per_channel(scales, zero_points, axis):
    scales, zero_points = torch.tensor(scales, dtype=torch.float64), torch.tensor(zero_points)
    return {"w": torch._make_per_channel_quantized_tensor(INTEGERS, scales, zero_points, axis)}


def coo(size, values=(3.0,)):
    return {"w": torch.sparse_coo_tensor(torch.tensor([[0], [1]]), torch.tensor(values), size)}


def csr(size):
    return {"w": torch.sparse_csr_tensor(torch.tensor([0, 1, 2]), torch.tensor([0, 1]), torch.tensor([1.0, 2.0]), size=size)}


def meta(*shape, dtype=torch.float32):
    return {"w": torch.empty(shape, dtype=dtype, device="meta")}


OTHERS = {
    "the scale": (per_tensor(0.1, 3), per_tensor(0.2, 3)),
    "the zero point": (per_tensor(0.1, 3), per_tensor(0.1, 4)),
    "the scheme": (per_tensor(0.1, 3), per_channel([0.1, 0.1], [3, 3], 0)),
    "a scale of a channel": (per_channel([0.1, 0.2], [1, 2], 0), per_channel([0.1, 0.3], [1, 2], 0)),
    "a zero point of a channel": (per_channel([0.1, 0.2], [1, 2], 0), per_channel([0.1, 0.2], [1, 3], 0)),
    "the axis": (per_channel([0.1, 0.2], [1, 2], 0), per_channel([0.1, 0.2], [1, 2], 1)),
    "the size of a COO tensor": (coo((2, 2)), coo((2, 3))),
    "a value of a COO tensor": (coo((2, 2)), coo((2, 2), (4.0,))),
    "the size of a CSR tensor": (csr((2, 2)), csr((2, 3))),
    "the layout": (csr((2, 2)), {"w": csr((2, 2))["w"].to_sparse_coo()}),
    "a layout and its parts": (coo((2, 2)), {"w": {"indices": torch.tensor([[0], [1]]), "values": torch.tensor([3.0])}}),
    "tensors of names that are spelt alike": ({"a.b": X, "a": {"b": Y}}, {"a.b": Y, "a": {"b": X}}),
    "tensors of keys that are spelt alike": ({3: X, "3": Y}, {3: Y, "3": X}),
    "a tensor without data": (meta(3), {}),
    "no data": (meta(0), {"w": torch.empty(0)}),
    "the type of a tensor without data": (meta(3), meta(3, dtype=torch.float16)),
    "the shape of a tensor without data": (meta(3), meta(4)),
}
SAME = {
    "coalesced or not": (coo((2, 2)), {"w": coo((2, 2))["w"].coalesce()}),
    "one tensor in two dicts": ({"a.b": X}, {"a": {"b": X}}),
}


def hashes(*paths):
    done = subprocess.run([oracle.binary(), "hash", *map(str, paths)], stdout=subprocess.PIPE, check=True)
    return [line.split()[0] for line in done.stdout.splitlines()]


def main():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, name) for name in ("a.pt", "b.pt")]

        def of(pair):
            for value, path in zip(pair, paths):
                torch.save(value, path)
            return len(set(hashes(*paths)))

        failures += ["not seen: " + what for what, pair in OTHERS.items() if of(pair) != 2]
        failures += ["two hashes: " + what for what, pair in SAME.items() if of(pair) != 1]
        for value, targets in ((coo((2, 2)), ("legacy", "safetensors", "hdf5", "npz")), (csr((2, 2)), ("safetensors", "hdf5", "npz"))):
            torch.save(value, paths[0])
            for target in targets:
                other = pathlib.Path(folder, "c." + target)
                subprocess.run([oracle.binary(), "convert", paths[0], "--to", target, "-o", other, "-q", "--force"], check=True)
                if len(set(hashes(paths[0], other))) != 1:
                    failures.append("%s has another hash" % target)
        torch.save(per_channel([0.1, 0.2], [1, 2], 0), paths[0])
        manifest = pathlib.Path(folder, "MANIFEST")
        manifest.write_bytes(subprocess.run([oracle.binary(), "hash", "--tensors", paths[0]], stdout=subprocess.PIPE).stdout)
        for value, code in ((None, 0), (per_channel([0.1, 0.2], [1, 2], 1), 1)):
            if value is not None:
                torch.save(value, paths[0])
            done = subprocess.run([oracle.binary(), "hash", "--check", manifest], stdout=subprocess.PIPE)
            if done.returncode != code:
                failures.append("--check of --tensors: exit %d instead of %d" % (done.returncode, code))
    for failure in failures:
        print("FAIL", failure)
    print("%d pairs, %d failures" % (len(OTHERS) + len(SAME), len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
