"""`diff m.h5 OPTIONS` says what `diff BEFORE AFTER OPTIONS` says, to the byte, whatever the options of the run that saved m.h5 were."""
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

import torch

TORCHFERRY = os.environ["TORCHFERRY"]
NAN, INF = float("nan"), float("inf")


def quantized(values, scale):
    return torch._make_per_tensor_quantized_tensor(torch.tensor(values, dtype=torch.uint8), scale, 3)


def numbers():
    """Pairs of tensors that differ in every way that a figure is about, and pairs that do not."""
    torch.manual_seed(0)
    wide, deep = torch.randn(8, 6), torch.randn(4, 3, 2, 2, dtype=torch.float64)
    whole = torch.tensor([2**62, 3, -5])
    before, after = {}, {}
    for name, mine, other in (
            ("equal", wide, wide.clone()),
            ("equal_nan", torch.tensor([1., NAN, INF]), torch.tensor([1., NAN, INF])),
            ("empty", torch.zeros(0, 3), torch.zeros(0, 3)),
            ("close", wide + 1, (wide + 1) * 1.000001),
            ("far", wide, wide * 3 - 1),
            ("halved", wide, wide.half().float()),
            ("scaled", deep, deep * 0.5),
            ("long", torch.tensor([1e300, -1e300, 1.], dtype=torch.float64), torch.tensor([2e300, -1e300, 1.], dtype=torch.float64)),
            ("short", torch.tensor([1e-300, 1e-300], dtype=torch.float64), torch.tensor([2e-300, 1e-300], dtype=torch.float64)),
            ("sums", torch.randn(999, dtype=torch.float64) / 3, torch.randn(999, dtype=torch.float64) / 7),
            ("int64", whole, whole + torch.tensor([1, 0, 0])),
            ("uint8", torch.arange(9, dtype=torch.uint8), torch.arange(9, dtype=torch.uint8) * 2),
            ("boolean", torch.tensor([True, False]), torch.tensor([True, True])),
            ("complex", torch.tensor([1 + 2j, 3j]), torch.tensor([1 + 2j, 4j])),
            ("bfloat", wide.bfloat16(), (wide + 0.01).bfloat16()),
            ("dtype", wide.half(), wide.half().float()),
            ("zero", torch.zeros(3), -torch.zeros(3)),
            ("nan_new", torch.ones(3), torch.tensor([1., NAN, INF])),
            ("nan_both", torch.tensor([NAN, 1.]), torch.tensor([NAN, 2.])),
            ("shape", torch.ones(2, 3), torch.ones(3, 2)),
            ("permuted", torch.arange(40.).view(8, 5), torch.arange(40.).view(8, 5)[[1, 0, 2, 3, 4, 5, 6, 7]]),
            ("swap.a", torch.arange(5.), torch.arange(5.) * 7 + 1),
            ("swap.b", torch.arange(5.) * 7 + 1, torch.arange(5.)),
            ("no_data", torch.empty(2, device="meta"), torch.empty(2, device="meta")),
            ("meta", torch.empty(2, device="meta"), torch.ones(2)),
            ("meta_type", torch.empty(3, device="meta"), torch.empty(3, device="meta", dtype=torch.float16)),
            ("meta_shape", torch.empty(3, device="meta"), torch.ones(4)),
            ("overlap", torch.arange(3000.).as_strided((900, 900), (2, 1)), torch.arange(3000.).as_strided((900, 900), (1, 1))),
            ("sparse", torch.sparse_coo_tensor([[0, 1]], [3., 4.], (5,)), torch.sparse_coo_tensor([[0, 2]], [3., 5.], (5,))),
            ("quantized", quantized([1, 2, 3], .1), quantized([1, 2, 4], .1)),
            ("bn.num_batches_tracked", torch.tensor(5), torch.tensor(9))):
        before[name], after[name] = mine, other
    return before, after


def structures():
    x, y = torch.arange(4.), torch.arange(3.)
    before = {"model": {"tied": x, "other": x, "gone": y + 5, "renamed": y * 2, "same": y}, "epoch": 1, "args": {"lr": .1, "name": "a"}, "only": [1]}
    after = {"model": {"tied": x, "other": x.clone(), "new": y + 9, "called": y * 2, "same": y.clone()}, "epoch": 2, "args": {"lr": .1, "name": "b"},
             "more": "text"}
    return before, after


def names():
    x = torch.ones(3)
    keys = ["k" * 1500 + ".w", "nul\0", "line\nbreak\\n", "ü\ud800", "a/b", "."]
    return {key: x * i for i, key in enumerate(keys)}, {key: x * i * i for i, key in enumerate(keys)}


def many():
    """More rows than have ratios of spectral norms."""
    torch.manual_seed(1)
    before = {"w%02d" % i: torch.randn(4, 4) for i in range(20)}
    return before, {key: value * (1 + i / 1000) + torch.eye(4) / 100 for i, (key, value) in enumerate(before.items())}


PAIRS = {"numbers": numbers, "structures": structures, "names": names, "many": many}
JUDGED = [[], ["--nan", "strict"], ["--close"], ["--rtol", "1e-5"], ["--rtol", "0.5", "--atol", "0.1", "--nan", "strict"], ["--ulp", "1"],
          ["--atol", "w*:1", "--rtol", "kkk*:9"], ["--atol", "nul?:9", "--atol", "1e-9"], ["--atol", "1e9"], ["--no-check-dtype"],
          ["--ignore", "*"], ["--ignore", "far", "--ignore", "swap.b", "--ignore", "epoch", "--ignore", "model.*"], ["--ignore", "w0*"],
          ["--policy", "allow.toml"], ["--spectral", "none"]]
SAVED = [[], ["--ignore", "*"], ["--policy", "allow.toml"], ["--atol", "1e9", "--rtol", "1e9"], ["--nan", "strict"], ["--save-differences"],
         ["--spectral", "all"]]
FORMS = [["--jsonl"], ["--all"], []]


def forms_of(judged):
    """The figures, and one of the other forms."""
    return [["--json"], FORMS[JUDGED.index(judged) % len(FORMS)]]


def run(*arguments):
    done = subprocess.run([TORCHFERRY, "diff", *arguments], capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "surrogateescape")


def first_difference(direct, again):
    for line, other in itertools.zip_longest(direct.splitlines(), again.splitlines()):
        if line != other:
            return "%r became %r" % (line, other)
    return "the ends of lines"


def check(label, before, after, *choices, all_saved=SAVED):
    """`choices` say what is compared: an archive holds what they chose."""
    faults = []
    asked = [(judged, form) for judged in JUDGED for form in forms_of(judged)]
    direct = [run(before, after, *choices, *judged, *form) for judged, form in asked]
    for saved in all_saved:
        plain = run(before, after, *choices, *[one for one in saved if one != "--save-differences"], "--json")
        kept = run(before, after, *choices, *saved, "--json", "--save", "m.h5", "--force")
        if plain != kept:
            faults.append("%s: with --save, %s: %s" % (label, saved, first_difference("\n".join(plain[1:]), "\n".join(kept[1:]))))
        for (judged, form), expected in zip(asked, direct):
            found = run("m.h5", *judged, *form)
            if expected[0] != found[0]:
                faults.append("%s: saved with %s, judged with %s: exit %d instead of %d" % (label, saved, judged, found[0], expected[0]))
            elif expected != found:
                faults.append("%s: saved with %s, judged with %s: %s"
                              % (label, saved, judged + form, first_difference("\n".join(expected[1:]), "\n".join(found[1:]))))
    return faults


def make_folders():
    """Files that differ, that do not, that have no partner, and one that nobody can read."""
    for name in ("one", "two"):
        pathlib.Path(name).mkdir()
    for name, make in PAIRS.items():
        before, after = make()
        torch.save(before, "one/%s.pt" % name)
        torch.save(after, "two/%s.pt" % name)
    for path in ("one/only.pt", "two/new.pt", "one/equal.pt", "two/equal.pt"):
        torch.save({"w": torch.ones(2)}, path)


def main():
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pathlib.Path("allow.toml").write_text('allow_removed = ["*"]\nallow_added = ["*"]\n')
        make_folders()
        for name in PAIRS:
            faults += check(name, "one/%s.pt" % name, "two/%s.pt" % name)
        faults += check("folders", "one", "two")
        for choice in (["--as-stored"], ["--exclude", "*o*"], ["--select", "model"], ["--rename", "^model=net"]):
            faults += check("structures, %s" % choice, "one/structures.pt", "two/structures.pt", *choice, all_saved=SAVED[:2])
        for name in ("many", "numbers"):
            pair, ratios = ["one/%s.pt" % name, "two/%s.pt" % name], ["--spectral", "all", "--json"]
            expected = run(*pair, *ratios)
            run(*pair, *ratios, "--save", "m.h5", "--force")
            if run("m.h5", *ratios) != expected:
                faults.append("%s: ratios of spectral norms of all rows differ" % name)
        for to in ("safetensors", "legacy"):
            subprocess.run([TORCHFERRY, "convert", "one/structures.pt", "--to", to, "-o", "converted." + to, "-q"], check=True)
            faults += check("a conversion to " + to, "one/structures.pt", "converted." + to, all_saved=SAVED[:2])
            faults += check("a conversion to %s of the other one" % to, "two/structures.pt", "converted." + to, all_saved=SAVED[:2])
        pathlib.Path("one/broken.pt").write_text("junk")
        torch.save({"w": torch.ones(2)}, "two/broken.pt")
        faults += check("a file that cannot be read", "one", "two")
        faults += check("nothing but that", "one/broken.pt", "two/broken.pt")
        os.chdir("/")
    for fault in faults:
        print(fault[:600])
    print("%d faults" % len(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
