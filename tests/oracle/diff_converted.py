"""`diff` of every recorded checkpoint against its conversion: identical but for the listed changes. And against a copy of the conversion
with one fault, made by PyTorch: exit 1, the right tensor, the right explanation.

    python diff_converted.py [--all] [NAME-PATTERN]

Every file gets three kinds of fault, each file others, so that each kind meets many files; --all seeds every kind in every file.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import zlib

import ferry_oracle as oracle


def diff(before, after, *options):
    """(exit status, the document or None, what was said on stderr)"""
    done = subprocess.run([oracle.binary(), "diff", str(before), str(after), "--json", "--no-progress", *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    document = json.loads(done.stdout) if done.stdout else None
    return done.returncode, document, " ".join(done.stderr.decode("utf-8", "replace").split())[:300]


def tensors_of(value, path=(), seen=None):
    """(container, key, path) of every tensor that stands in a dict or list, each container once."""
    import torch
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(item, torch.Tensor):
            if isinstance(key, (str, int)):
                yield value, key, ".".join(map(str, path + (key,)))
        elif isinstance(item, (dict, list)):
            yield from tensors_of(item, path + (key,), seen)


def whole(tensor):
    """Elements that can be changed one by one: a copy of its own, contiguous."""
    return tensor.detach().clone(memory_format=__import__("torch").contiguous_format)


def replaced(place, tensor):
    container, key, _ = place
    container[key] = tensor


def is_plain(tensor):
    import torch
    return (tensor.layout == torch.strided and not tensor.is_conj() and not tensor.is_neg() and tensor.device.type == "cpu"
            and not tensor.is_quantized)


# Each fault: (places, pick) -> (names, cause) after changing one of them, or None where nothing fits.

def one_bit(places, pick):
    import torch
    fit = [p for p in places if p[0][p[1]].numel() > 0 and p[0][p[1]].dtype != torch.bool]
    if not fit:
        return None
    place = fit[pick % len(fit)]
    tensor = whole(place[0][place[1]])
    flat = tensor.reshape(-1).view(torch.uint8)
    flat[(pick // 7) % flat.numel()] ^= 1 << (pick // 3) % 8
    replaced(place, tensor)
    return [place[2]], "one_bit"


def one_element(places, pick):
    fit = [p for p in places if p[0][p[1]].dtype.is_floating_point and p[0][p[1]].element_size() >= 4 and p[0][p[1]].numel() > 1]
    fit = [p for p in fit if ((t := p[0][p[1]]).isfinite() & (t.abs() > 1e-30)).any()]
    if not fit:
        return None
    place = fit[pick % len(fit)]
    tensor = whole(place[0][place[1]])
    good = (tensor.isfinite() & (tensor.abs() > 1e-30)).reshape(-1).nonzero().reshape(-1)
    tensor.reshape(-1)[good[pick % len(good)]] *= 1.001
    replaced(place, tensor)
    return [place[2]], ("one_element", "one_bit")


def scaled(places, pick):
    import torch
    fit = [p for p in places if p[0][p[1]].dtype in (torch.float32, torch.float64) and p[0][p[1]].numel() > 3]
    fit = [p for p in fit if (t := p[0][p[1]]).isfinite().all() and (t.abs() > 1e-30).sum() > 3]
    if not fit:
        return None
    place = fit[pick % len(fit)]
    replaced(place, whole(place[0][place[1]]) * (1 + 1e-5))
    return [place[2]], "scaled"


def float16_rounding(places, pick):
    import torch
    fit = [p for p in places if p[0][p[1]].dtype == torch.float32 and p[0][p[1]].numel() > 3]
    fit = [p for p in fit if (t := p[0][p[1]]).isfinite().all() and (t.half().float() != t).sum() > 1 and t.half().isfinite().all()]
    fit = [p for p in fit if p[0][p[1]].half().any()]            # what rounds to nothing at all is zeros
    if not fit:
        return None
    place = fit[pick % len(fit)]
    replaced(place, whole(place[0][place[1]]).half().float())
    return [place[2]], ("float16_rounding", "scaled")


def transposed(places, pick):
    import torch
    fit = [p for p in places if p[0][p[1]].dim() == 2 and p[0][p[1]].numel() > 1]
    fit = [p for p in fit if (t := p[0][p[1]]).shape != t.t().shape or not torch.equal(t, t.t())]
    if not fit:
        return None
    place = fit[pick % len(fit)]
    replaced(place, whole(place[0][place[1]].t()))
    return [place[2]], "transposed"


def swapped(places, pick):
    """Two that no third one equals: else nobody could tell which were exchanged."""
    import collections
    content = {id(p): (p[0][p[1]].dtype, oracle.bits(p[0][p[1]])) for p in places}
    counts = collections.Counter(content.values())
    fit = [p for p in places if p[0][p[1]].numel() > 1 and counts[content[id(p)]] == 1]
    for one, other in zip(fit[pick % max(1, len(fit)):] + fit, fit[pick % max(1, len(fit)) + 1:] + fit):
        a, b = one[0][one[1]], other[0][other[1]]
        if one is not other and a.dtype == b.dtype:
            a, b = whole(a), whole(b)
            replaced(one, b)
            replaced(other, a)
            return [one[2], other[2]], "swapped"
    return None


def dropped(places, pick):
    fit = [p for p in places if isinstance(p[0], dict)]
    if not fit:
        return None
    place = fit[pick % len(fit)]
    del place[0][place[1]]
    return [place[2]], "removed"


def renamed(places, pick):
    """Under another name, and every second one transposed or in a wider type as well."""
    import collections
    import torch
    content = {id(p): (p[0][p[1]].dtype, oracle.bits(p[0][p[1]])) for p in places}
    counts = collections.Counter(content.values())
    fit = [p for p in places if isinstance(p[0], dict) and isinstance(p[1], str) and p[0][p[1]].dtype == torch.float32
           and p[0][p[1]].numel() > 1 and counts[content[id(p)]] == 1 and len(p[0][p[1]].reshape(-1).unique()) > 1]
    if not fit:
        return None
    container, key, path = fit[pick % len(fit)]
    tensor = whole(container.pop(key))
    container["something_else"] = (tensor, tensor.double(), whole(tensor.t()) if tensor.dim() == 2 else tensor)[pick % 3]
    return [path], "renamed"


def retied(places, pick):
    def key(p):
        t = p[0][p[1]]
        return t.untyped_storage()._cdata, t.storage_offset(), t.shape, t.dtype
    fit = [p for p in places if p[0][p[1]].numel() > 0]
    seen = {}
    for place in fit:
        other = seen.setdefault(key(place), place)
        if other is not place:
            replaced(place, whole(place[0][place[1]]))
            return [other[2], place[2]], "tying"
    alike = {}
    for place in fit:
        tensor = place[0][place[1]]
        one = alike.setdefault((tensor.dtype, tensor.shape), place)
        if one is not place:
            replaced(place, one[0][one[1]])
            return [one[2], place[2]], "tying"
    return None


EVERY_FAULT = "--all" in sys.argv[1:]
FAULTS = (one_bit, one_element, scaled, float16_rounding, transposed, swapped, dropped, renamed, retied)


def verdict(document, names, cause):
    """What is wrong with the answer, or None."""
    if cause == "tying":
        tied = [set(row.get("tied_before") or []) | set(row.get("tied_after") or []) for row in document["tying"]]
        return None if any(set(names) <= one for one in tied) else "tying of %s not seen: %s" % (names, document["tying"])
    rows = {row["name"]: row for row in document["tensors"] if row["state"] not in ("equal", "not_compared")}
    for name in names:
        row = rows.pop(name, None)
        if row is None:
            return "%s is not among the rows that differ: %s" % (name, list(rows)[:3])
        if cause == "renamed":
            if not (row.get("renamed_to") or "").endswith("something_else"):
                return "%s is %s, not renamed" % (name, row["state"])
            continue
        if cause == "removed":
            if row["state"] != "removed":
                return "%s is %s" % (name, row["state"])
            continue
        causes = [e["cause"] for e in row.get("explanations", [])]
        if not set(causes) & set([cause] if isinstance(cause, str) else cause):
            return "%s: %s is explained by %s (%s)" % (name, cause, causes, row.get("why"))
    return "others differ too: %s" % list(rows)[:3] if rows else None


def check(case):
    import torch
    case.load()
    result = {"label": case.label, "group": case.group, "failures": [], "faults": {}}
    with tempfile.TemporaryDirectory() as folder:
        outs = {}
        for layout in ("clean", "keep"):
            outs[layout] = out = pathlib.Path(folder, layout + ".pth")
            status, message = oracle.convert(case.file, out, "--layout", layout)
            if status != 0:
                result["failures"].append("convert, exit %s: %s" % (status, message))
                return result
            for options in ((), ("-j1",))[:1 + (zlib.crc32(case.name.encode()) % 8 == 0)]:
                status, document, said = diff(case.file, out, *options)
                if status != 0 or document["verdict"]["state"] not in ("identical", "identical_but_listed"):
                    rows = [r for r in (document or {}).get("tensors", []) if r["state"] != "equal"][:2]
                    result["failures"].append("%s: exit %s, %s %s %s" % (layout, status, said, rows, (document or {}).get("values", [])[:2]))
                    break
        first = zlib.crc32(case.label.encode()) % 3
        for fault in FAULTS if EVERY_FAULT else FAULTS[first::3]:
            state = torch.load(outs["clean"], weights_only=True)
            places = [p for p in tensors_of(state) if is_plain(p[0][p[1]])]
            made = fault(places, zlib.crc32((case.label + fault.__name__).encode()))
            if made is None:
                continue
            faulty = pathlib.Path(folder, "faulty.pth")
            torch.save(state, faulty)
            status, document, said = diff(case.file, faulty)
            wrong = "exit %s %s" % (status, said) if status != 1 else verdict(document, *made)
            result["faults"][fault.__name__] = wrong is None
            if wrong:
                result["failures"].append("%s: %s" % (fault.__name__, wrong))
    return result


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--all"]
    pattern = arguments[0] if arguments else "*"
    results = oracle.run_checks(check, oracle.cases(pattern))
    print("%-20s %7s %7s" % ("fault", "found", "seeded"))
    for fault in FAULTS:
        seen = [r["faults"][fault.__name__] for r in results if fault.__name__ in r.get("faults", {})]
        print("%-20s %7d %7d" % (fault.__name__, sum(seen), len(seen)))
    sys.exit(oracle.report(results))
