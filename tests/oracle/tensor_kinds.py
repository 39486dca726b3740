"""Tensors that are made of other tensors, as PyTorch 2.13 writes them now: every sparse layout, nested and jagged ones, quantized by every
scheme, Parameters of these, conjugated and negated views. Converted, each is what torch reads from the original; through safetensors
and back it is too, where that can hold it; `diff` calls the copies, a legacy stream too, identical and names the part in which one number was changed;
indices that point outside are refused; `diff --close` calls none close that torch.testing does not.

    python tensor_kinds.py
"""
import collections
import pathlib
import subprocess
import sys
import tempfile

import ferry_oracle as oracle


def sparse_tensors():
    import torch
    dense = torch.arange(24, dtype=torch.float32).reshape(4, 6) * (torch.arange(24).reshape(4, 6) % 3 == 0)
    batch = torch.stack([dense, dense])
    yield "coo", dense.to_sparse()
    yield "coo uncoalesced", torch.sparse_coo_tensor(torch.tensor([[0, 0, 3], [1, 1, 5]]), torch.tensor([1.0, 2.0, 3.0]), (4, 6))
    yield "coo hybrid", batch.to_sparse(2)
    yield "coo empty", torch.sparse_coo_tensor(size=(3, 0, 2))
    yield "coo scalar", torch.sparse_coo_tensor(torch.zeros(0, 1, dtype=torch.int64), torch.tensor([5.0]), ())
    yield "coo complex", dense.to(torch.complex64).to_sparse()
    yield "coo bool", dense.bool().to_sparse()
    yield "csr", dense.to_sparse_csr()
    yield "csr of int32", torch.sparse_csr_tensor(torch.tensor([0, 1, 2], dtype=torch.int32), torch.tensor([1, 0], dtype=torch.int32), torch.ones(2))
    yield "csr batched", torch.sparse_csr_tensor(torch.tensor([[0, 1, 2], [0, 0, 2]]), torch.tensor([[1, 0], [0, 1]]), torch.ones(2, 2), (2, 2, 2))
    yield "csr of vectors", torch.sparse_csr_tensor(torch.tensor([0, 1, 2]), torch.tensor([1, 0]), torch.ones(2, 5), (2, 2, 5))
    yield "csc", dense.to_sparse_csc()
    yield "bsr", dense.to_sparse_bsr((2, 3))
    yield "bsc", dense.to_sparse_bsc((2, 3))
    yield "csr empty", torch.zeros(3, 2).to_sparse_csr()


def other_tensors():
    import torch
    values = torch.linspace(-2, 2, 12).reshape(3, 4)
    scales, zeros = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), torch.tensor([0, 1, 2])
    yield "nested", torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)])
    yield "quint8", torch.quantize_per_tensor(values, 0.1, 10, torch.quint8)
    yield "qint8 view", torch.quantize_per_tensor(values, 0.1, 0, torch.qint8).t()
    yield "qint32", torch.quantize_per_tensor(values, 1e-5, 7, torch.qint32)
    yield "by channel", torch.quantize_per_channel(values, scales, zeros, 0, torch.qint8)
    yield "by channel 1", torch.quantize_per_channel(values.t(), scales, zeros, 1, torch.quint8)
    yield "sparse Parameter", torch.nn.Parameter(torch.eye(3).to_sparse(), requires_grad=False)
    yield "sparse Parameter with grad", torch.nn.Parameter(torch.eye(3).to_sparse())
    yield "quantized Parameter", torch.nn.Parameter(torch.quantize_per_tensor(values, 0.5, 0, torch.qint8), requires_grad=False)
    complex_values = torch.complex(values, values + 1)
    yield "complex", complex_values
    yield "conj", complex_values.conj()
    yield "conj of a row", complex_values[1].conj()
    yield "conj transposed", complex_values.t().conj()
    yield "negated", complex_values.conj().imag
    yield "negated conj", torch._neg_view(complex_values).conj()


def cases():
    for name, tensor in list(sparse_tensors()) + list(other_tensors()):
        model = collections.OrderedDict([("bias", tensor.new_zeros(2) if not oracle.parts_of(tensor) else 1.5), ("w", tensor), ("again", tensor)])
        yield name, collections.OrderedDict([("model", model), ("epoch", 3)])


def save(value, path):
    import torch
    torch.save(value, str(path))
    return path


def check_copies(name, value, folder, fail):
    """convert in both layouts, safetensors and back, diff."""
    original = save(value, folder / "a.pt")
    truth = oracle.load_safely(original)
    for layout in ("clean", "keep"):
        copy = folder / (layout + ".pt")
        status, message = oracle.convert(original, copy, "--layout", layout)
        if status != 0:
            return fail("%s, layout %s: exit %s, %s" % (name, layout, status, message))
        for line in oracle.differences(truth, oracle.load_safely(copy)):
            fail("%s, layout %s: %s" % (name, layout, line))
        status, message = oracle.run_tool("diff", original, copy)
        if status != 0:
            fail("%s: diff to layout %s, exit %s: %s" % (name, layout, status, message))
    legacy = folder / "legacy.pt"
    status, message = oracle.convert(original, legacy, "--to", "legacy")
    if status == 0:
        status, message = oracle.run_tool("diff", original, legacy)
        if status != 0:
            fail("%s: diff to the legacy stream, exit %s: %s" % (name, status, message))
    there, back = folder / "there.safetensors", folder / "back.pt"
    status, message = oracle.convert(original, there, "--to", "safetensors")
    if status == 0:
        status, message = oracle.convert(there, back)
        for line in oracle.differences(contiguous(truth), contiguous(oracle.load_safely(back))) if status == 0 else [message]:
            fail("%s through safetensors: %s" % (name, line))
    elif status != 2 or not ("no name for the type q" in message or "no name for the type complex" in message):
        fail("%s to safetensors: exit %s, %s" % (name, status, message))


def contiguous(value):
    """What a container of tensors keeps of a tree: the values, not how they lie."""
    import torch
    if isinstance(value, dict):
        return type(value)((key, contiguous(item)) for key, item in value.items())
    if isinstance(value, torch.Tensor) and not oracle.parts_of(value):
        return value.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return value


def changed(tensor):
    """A copy with one number changed, and the name of the part that holds it; None where there is no number, or no way to make one."""
    import torch
    stored = oracle.parts_of(tensor).get("values")
    if tensor.layout == torch.strided or stored is None or stored.numel() == 0 or stored.dtype == torch.bool:
        return None, None
    if tensor.layout == torch.sparse_coo:
        values = tensor._values().clone()
        values.view(-1)[0] += 1
        return torch.sparse_coo_tensor(tensor._indices(), values, tensor.shape, is_coalesced=tensor.is_coalesced()), "values"
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        values = tensor.values().clone()
        values.view(-1)[0] += 1
        make = torch.sparse_csr_tensor if tensor.layout == torch.sparse_csr else torch.sparse_bsr_tensor
        return make(tensor.crow_indices(), tensor.col_indices(), values, tensor.shape), "values"
    return None, None


def check_change(name, value, folder, fail):
    tensor, part = changed(value["model"]["w"])
    if tensor is None:
        return
    other = collections.OrderedDict(value, model=collections.OrderedDict(value["model"], w=tensor, again=tensor))
    command = [oracle.binary(), "diff", "--json", str(folder / "a.pt"), str(save(other, folder / "b.pt"))]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    if done.returncode != 1 or ("model.w." + part).encode() not in done.stdout:
        fail("%s with one number changed: exit %s, %s" % (name, done.returncode, done.stdout[:300]))


def broken():
    import torch
    ok = torch.ones(2)
    yield "coordinate outside", torch.sparse_coo_tensor(torch.tensor([[0, 4], [0, 1]]), ok, (4, 6), check_invariants=False)
    yield "negative coordinate", torch.sparse_coo_tensor(torch.tensor([[0, -1], [0, 1]]), ok, (4, 6), check_invariants=False)
    yield "column outside", torch.sparse_csr_tensor(torch.tensor([0, 1, 2]), torch.tensor([0, 2]), ok, (2, 2), check_invariants=False)
    yield "rows fall", torch.sparse_csr_tensor(torch.tensor([0, 2, 1, 2]), torch.tensor([0, 1]), ok, (3, 2), check_invariants=False)
    yield "rows end early", torch.sparse_csr_tensor(torch.tensor([0, 1, 1]), torch.tensor([0, 1]), ok, (2, 2), check_invariants=False)
    yield "rows start late", torch.sparse_csr_tensor(torch.tensor([1, 1, 2]), torch.tensor([0, 1]), ok, (2, 2), check_invariants=False)
    yield "row outside", torch.sparse_csc_tensor(torch.tensor([0, 1, 2]), torch.tensor([0, 7]), ok, (2, 2), check_invariants=False)


def check_broken(fail):
    count = 0
    with tempfile.TemporaryDirectory() as name:
        for what, tensor in broken():
            count += 1
            out = pathlib.Path(name, "out.pt")
            status, message = oracle.convert(save({"w": tensor}, pathlib.Path(name, "in.pt")), out)
            if status != 2 or "TF203" not in message or out.exists():
                fail("%s: exit %s, %s" % (what, status, message))
    return count


def check_jagged(fail):
    """A nested tensor of the jagged layout is a class of its own that weights_only reads with torch.nested only: its parts are kept."""
    import torch
    with tempfile.TemporaryDirectory() as name:
        tensor = torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)], layout=torch.jagged)
        out = pathlib.Path(name, "out.pt")
        status, message = oracle.convert(save({"w": tensor}, pathlib.Path(name, "in.pt")), out)
        if status != 0:
            return fail("jagged: exit %s, %s" % (status, message))
        parts = oracle.load_safely(out)["w"]
        if not torch.equal(parts["values"], tensor.values()) or not torch.equal(parts["offsets"], tensor.offsets()):
            fail("jagged: its values or offsets differ")


def close_pairs():
    """Quantized tensors and what they became, near the tolerances of torch.testing."""
    import torch
    integers = torch.tensor([[0, 5, 255], [100, 7, 3]])

    def tensor(scale, zero, dtype=torch.uint8, plus=0):
        return torch._make_per_tensor_quantized_tensor((integers + zero + plus).to(dtype), scale, zero)

    def channels(scales, plus=0):
        return torch._make_per_channel_quantized_tensor((integers + plus).to(torch.uint8), torch.tensor(scales, dtype=torch.float64),
                                                        torch.tensor([1, 2]), 0)
    yield tensor(0.1, 0), tensor(0.1, 0)
    yield tensor(0.1, 10**6, torch.int32), tensor(0.1, 10**6, torch.int32, 1)
    yield tensor(1e-6, 0, torch.int32), tensor(1e-6, 0, torch.int32, 1)
    yield tensor(0.1, 0), tensor(0.1 * (1 + 1e-5), 0)
    yield tensor(0.1, 0, torch.int32), tensor(0.1, 1, torch.int32, -1)
    yield channels([0.1, 0.2]), channels([0.1, 0.2])
    yield channels([1e-6, 2e-6]), channels([1.05e-6, 2.05e-6])


def check_close(fail):
    """`diff --close` is never 0 where torch.testing.assert_close fails, and is 0 where nothing changed."""
    import torch
    for count, (before, after) in enumerate(close_pairs()):
        with tempfile.TemporaryDirectory() as name:
            paths = [save({"w": one}, pathlib.Path(name, "%d.pt" % i)) for i, one in enumerate((before, after))]
            roots = [save(one, pathlib.Path(name, "root%d.pt" % i)) for i, one in enumerate((before, after))]
            status = {oracle.run_tool("diff", "--close", *pair)[0] for pair in (paths, roots)}
        try:
            torch.testing.assert_close(after, before)
            close = True
        except AssertionError:
            close = False
        same = count in (0, 5)
        if (not close and status != {1}) or (same and status != {0}):
            fail("close, pair %d: torch says %s, exit %s" % (count, close, status))
    return count + 1


def main():
    if not oracle.importlib.util.find_spec("torch"):
        return 77
    import torch
    import warnings
    warnings.simplefilter("ignore")                          # what is deprecated is what old files hold
    torch.set_num_threads(1)
    failures, count = [], 0
    for name, value in cases():
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            check_copies(name, value, pathlib.Path(folder), failures.append)
            check_change(name, value, pathlib.Path(folder), failures.append)
    count += check_broken(failures.append) + check_close(failures.append) + 1
    check_jagged(failures.append)
    for line in failures:
        print("FAIL %s" % line)
    print("%d cases, %d failures" % (count, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
