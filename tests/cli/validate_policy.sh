# Policies, archives, reports: the ways of `validate` into CI.
. "$(dirname "$0")/prelude.bash"
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY
python3 -c '' || skip "no python3"
make() { python3 "$TORCHFERRY_SOURCE/tests/cli/torchless.py" "$@"; }

mkdir old new
make old/good.pth 'training()' && cp old/good.pth new/good.pth
make old/other.pth 'training(epoch=9)' && make new/other.pth 'training(epoch=10)'

# Patterns, defaults, names, exceptions.
cat >policy.toml <<'END'
[defaults]
device = "cpu"
without = ["drift*"]

[[checkpoint]]
name = "good one"
before = "old/good.pth"
after = "new/good.pth"

[[checkpoint]]
before = "old/o*.pth"
after = "new/o*.pth"
ignore = ["epoch"]
END
expect 0 validate policy.toml
stdout_is <<'END'
passed: 12 checks of 2 checkpoints
  passed   good one: 6 checks
  passed   other.pth: 6 checks
END

# Paths are relative to the policy, not to where it is run; a checkpoint that fails is shown first.
sed -i '/ignore/d' policy.toml
mkdir elsewhere && cd elsewhere
expect_here() { local got=0; "$TORCHFERRY" "$@" >../../stdout 2>../../stderr || got=$?; echo "$got"; }
[ "$(expect_here validate ../policy.toml)" = 1 ] || fail "the policy does not find its files"
cd ..
stdout_is <<'END'
failed: 1 of 12 checks of 2 checkpoints

../old/other.pth → ../new/other.pth
  failed   structure.changes     1 thing is not as the conversion of ../old/other.pth has them [TF703]
           - epoch: 9 became 10
  passed   loads.weights_only    torch.load(weights_only=True) takes every name and instruction of it
  passed   loads.mmap            torch.load(mmap=True) takes it too
  passed   optimizer.fits        optimizer: 4 parameters, 4 states of Adam or AdamW, in the order of model
  passed   scaler.loads          scaler: scale 65536.0
  passed   tensors.bit_equal     17 tensors, 596 elements: bit-equal
  passed   good one: 6 checks
END

# The command line has the last word.
expect 0 validate policy.toml --ignore epoch -q

# What a policy cannot mean is said with its place.
printf '[[checkpoint]]\nbefore = "a"\nafter = "b"\ndevise = "cpu"\n' >bad.toml
expect 2 validate bad.toml
stderr_is <<'END'
torchferry: error: bad.toml: there is no key 'devise' here; line 4, column 1 [TF413]; hint: did you mean 'device'?
END
expect 2 validate nowhere.toml
expect 2 validate old new --report r.pdf
stderr_has 'the suffix says the form'
expect 2 validate old new --expect
expect 2 validate old/good.pth new/good.pth --require-gpu
stderr_has '--require-gpu needs'

# Every report, the same bytes each time, and only replaced when asked.
reports=(--report r.txt --report r.json --report r.md --report r.html --junit r.xml --sarif r.sarif --markdown s.md)
expect 1 validate policy.toml -q "${reports[@]}"
silent
cp r.xml first.xml && cp r.html first.html && cp r.sarif first.sarif
expect 1 validate policy.toml -q "${reports[@]}" --force
cmp r.xml first.xml && cmp r.html first.html && cmp r.sarif first.sarif || fail "reports differ from run to run"
cmp r.md s.md || fail "--markdown is not the Markdown report"
expect 2 validate policy.toml -q --junit r.xml
stderr_has 'TF403'
python3 - <<'PYTHON' || fail "reports disagree"
import json, xml.etree.ElementTree as tree
report, sarif, suites = json.load(open("r.json")), json.load(open("r.sarif")), tree.parse("r.xml").getroot()
assert report["schema"] == "torchferry.validate/1" and report["status"] == "failed" and report["exit_code"] == 1
assert [s.get("name") for s in suites] == ["good one", "other.pth"], [s.get("name") for s in suites]
assert (suites.get("tests"), suites.get("failures")) == ("12", "1")
assert [r["ruleId"] for r in sarif["runs"][0]["results"]] == ["TF703"]
assert sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "new/other.pth"
PYTHON

# GitHub Actions: annotations beside the log, the summary behind what others wrote there.
echo 'before us' >summary
GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=summary expect 1 validate policy.toml --json
grep -q '^::error title=TF703 structure.changes,file=new/other.pth::other.pth: 1 thing' ../stderr || fail "no annotation"
python3 -c 'import json; json.load(open("../stdout"))' || fail "annotations are in the way of JSON"
[ "$(head -n 1 summary)" = 'before us' ] || fail "the summary was not appended"
grep -q '^### ❌ failed' summary || fail "no summary"
GITHUB_STEP_SUMMARY=nowhere/summary expect 2 validate policy.toml -q
stderr_has 'cannot append the job summary'

# What was measured can be judged again without the checkpoints.
make new/near.pth 'training("""model["conv.weight"].flipped(0)""")' && cp old/good.pth old/near.pth
expect 1 validate old/near.pth new/near.pth --save v.h5 -q
if [ ! -e v.h5 ]; then exit 0; fi  # built without HDF5
rm -r old new
expect 1 validate v.h5
stdout_is <<'END'
failed: 1 of 6 checks of 1 checkpoint, 1 skipped

old/near.pth → new/near.pth
  failed   tensors.bit_equal     1 of 17 tensors is not: bit-equal [TF704]
           - model.conv.weight: 1 of 108 elements differs; max |Δ| 5.96e-08, 1 ULP
           likely: 1 tensor: bit 0 of element [0, 0, 0, 0]: -0.75 → -0.75000006
  skipped  drift                 no --model and no --golden were given
  passed   loads.weights_only    torch.load(weights_only=True) takes every name and instruction of it
  passed   loads.mmap            torch.load(mmap=True) takes it too
  passed   optimizer.fits        optimizer: 4 parameters, 4 states of Adam or AdamW, in the order of model
  passed   scaler.loads          scaler: scale 65536.0
  passed   structure.changes     17 tensors and 21 values as the conversion has them
END
expect 0 validate v.h5 --ulp 1 --json
stdout_has '"tensors.within_bounds"'
expect 0 validate v.h5 --ignore 'model.conv.weight' -q
expect 2 validate v.h5 --save again.h5
stderr_has '--save needs two checkpoints or a policy'
expect 2 validate policy.toml.h5
