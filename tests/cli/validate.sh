# Every promise of a conversion as a test case: honest files pass, each seeded fault fails the case that is about it.
. "$(dirname "$0")/prelude.bash"
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY
python3 -c '' || skip "no python3"
make() { python3 "$TORCHFERRY_SOURCE/tests/cli/torchless.py" "$@"; }

# cases STATUS: names of the cases of the last JSON report with this status, in order.
cases() { python3 -c 'import json, sys
for suite in json.load(open("../stdout"))["suites"]:
    print(*[case["name"] for case in suite["cases"] if case["status"] == sys.argv[1]])' "$1"; }
cases_are() {
  local want=$2 got
  got=$(cases "$1")
  [ "$got" = "$want" ] || fail "cases that are $1: '$got' instead of '$want'"
}

# An old training state and its conversion.
cp "$fixtures/1.4.0/ffb6d_o1.pth.tar" old.pth.tar
expect 0 convert old.pth.tar -o clean.pth -q
expect 0 validate old.pth.tar clean.pth
stdout_is <<'END'
passed: 6 checks of 1 checkpoint, 1 skipped

old.pth.tar → clean.pth
  skipped  drift                 no --model and no --golden were given
  passed   loads.weights_only    torch.load(weights_only=True) takes every name and instruction of it
  passed   loads.mmap            torch.load(mmap=True) takes it too
  passed   optimizer.fits        optimizer_state: 20 parameters, 20 states of Adam or AdamW, in the order of model_state
  passed   scaler.loads          scaler: scale 32768.0
  passed   structure.changes     92 tensors and 58 values as the conversion has them; 6 listed changes
  passed   tensors.bit_equal     92 tensors, 830 elements: bit-equal
END
no_errors

# The old file itself is not what 2.x wants; in the layout that keeps, it is but for its container.
expect 1 validate old.pth.tar old.pth.tar --json
cases_are failed 'loads.mmap structure.changes'
expect 1 validate old.pth.tar old.pth.tar
stdout_has 'model_state.cnn_pre_stages.0.weight: is called model_state.module.cnn_pre_stages.0.weight (wrapper)'
stdout_has "likely: the keys still carry a wrapper's prefix: the file was not converted"
stdout_has 'likely: apex amp was not turned into GradScaler state [TF502]'
expect 0 convert old.pth.tar -o keep.pth -q --layout keep
expect 0 validate old.pth.tar keep.pth --layout keep
expect 1 validate old.pth.tar keep.pth -q
silent

# Each fault fails its own case, and those that it is about too.
make good.pth 'training()'
expect 0 validate good.pth good.pth
fault() {
  make bad.pth "training('''$1''')"
  expect 1 validate good.pth bad.pth --json
  cases_are failed "$2"
  expect 1 validate good.pth bad.pth
  stdout_has "$3"
}
fault 'when = __import__("collections").deque([1])' 'loads.weights_only structure.changes' \
  'Unsupported global: GLOBAL collections.deque was not an allowed global by default [TF701]'
fault 'model["conv.weight"].flipped(3, 64)' 'tensors.bit_equal' 'model.conv.weight: 1 of 108 elements differs'
fault 'model["fc.bias"] = T(5)' 'structure.changes' '- model.fc.bias: added'
fault 'del model["bn.running_mean"]' 'structure.changes' '- model.bn.running_mean: removed'
fault 'model["conv.w"] = model.pop("conv.weight")' 'structure.changes' 'model.conv.weight: is called model.conv.w'
fault 'epoch = 4' 'structure.changes' '- epoch: 3 became 4'
fault 'model["bn.running_mean"] = T(4, seed=7, dtype="d")' 'structure.changes' 'float64 instead of float32'
fault 'model["bn.weight"] = model["conv.bias"]' 'optimizer.fits structure.changes tensors.bit_equal' \
  'were separate, share memory now'
fault 'optimizer["state"][1].pop("step")' 'optimizer.fits structure.changes' \
  "optimizer.state.1: 'step' is missing, which Adam or AdamW needs at the next step"
fault 'optimizer["state"][1].update(exp_avg=T(7), exp_avg_sq=T(7))' 'optimizer.fits structure.changes' \
  'optimizer.state.1: its shape [7] has no partner among the parameters of model'
fault 'optimizer["state"][9] = optimizer["state"].pop(1)' 'optimizer.fits structure.changes' \
  'optimizer.state.9: no group has this parameter, while 1 parameter lacks its state'
fault 'optimizer["param_groups"][0]["params"].append(4)' 'optimizer.fits structure.changes' \
  'there are only 4 parameters in model'
fault 'scaler = {}' 'scaler.loads structure.changes' 'the dict is empty: GradScaler.load_state_dict raises'
fault 'del scaler["growth_interval"]' 'scaler.loads structure.changes' "scaler: 'growth_interval' is missing"
fault 'scaler["scale"] = float("nan")' 'scaler.loads structure.changes' 'scale is nan, not a positive number'
fault 'scaler["_growth_tracker"] = 2000' 'scaler.loads structure.changes' 'the scale would never grow'
make none.pth 'training(scaler=None)'
expect 0 validate none.pth none.pth
stdout_has 'scaler: None, no scaler'

# What is meant can be said: bounds, exceptions, expectations, checks that are not wanted.
make near.pth 'training("""model["conv.weight"].flipped(0)""")'
expect 1 validate good.pth near.pth
expect 0 validate good.pth near.pth --ulp 1
stdout_has 'tensors.within_bounds  17 tensors, 596 elements: ulp 1.0'
expect 0 validate good.pth near.pth --ignore 'model.conv.*'
stdout_has '1 tensor left out'
expect 0 validate good.pth near.pth --without 'tensors.*' --json
cases_are skipped drift
expect 0 validate old.pth.tar clean.pth --expect TF501 --expect TF502 --expect TF503 --expect TF504 --expect TF505 --expect TF516
expect 1 validate old.pth.tar clean.pth --expect TF501
stdout_has 'TF502: was not expected, and the conversion does it'
expect 1 validate good.pth good.pth --expect TF501
stdout_has 'TF501: was expected, and the conversion does not do it'

# Rounded to half, and something else that is not.
make full.pth '{"w": T(3)}'
python3 - <<'PYTHON'
import sys, struct
sys.path.insert(0, __import__("os").environ["TORCHFERRY_SOURCE"] + "/tests/cli")
from torchless import T, write
half = T(3, dtype="H")
half.bytes = struct.pack("<3e", *struct.unpack("<3f", T(3).bytes))
write("half.pth", {"w": half})
write("other.pth", {"w": T(3, dtype="H")})
PYTHON
expect 1 validate full.pth half.pth
expect 0 validate full.pth half.pth --dtype float16
stdout_has 'rounded to float16'
expect 1 validate full.pth other.pth --dtype float16
stdout_has 'not the float16 rounding of before'
expect 1 validate full.pth full.pth --dtype float16
stdout_has 'w: float32 instead of float16'

# What cannot be read is an error, refusal outranks it.
head -c 500 good.pth >cut.pth
expect 2 validate good.pth cut.pth --json
cases_are error opens
stderr_has 'cut.pth'
expect 2 validate nowhere.pth good.pth
stderr_has 'nowhere.pth'
stdout_has 'passed   optimizer.fits'
expect 3 validate good.pth "$fixtures/hand-made/gadget_called.pth"
stderr_has 'os.getpid'

# Folders; a file without a partner is a failure, patterns leave files out.
mkdir before after
cp old.pth.tar before/a.pth.tar && cp clean.pth after/a.pth
cp good.pth before/b.pth && cp good.pth after/b.pth
expect 0 validate before after
stdout_is <<'END'
passed: 12 checks of 2 checkpoints, 2 skipped
  passed   a.pth.tar: 6 checks, 1 skipped
  passed   b.pth: 6 checks, 1 skipped
END
cp good.pth before/c.pth
expect 1 validate before after
stdout_is <<'END'
failed: 1 of 13 checks of 3 checkpoints, 2 skipped

c.pth
  failed   opens                 only before has this file [TF711]
  passed   a.pth.tar: 6 checks, 1 skipped
  passed   b.pth: 6 checks, 1 skipped
END
expect 0 validate before after --skip c.pth -q
expect 0 validate 'before/[ab]*' 'after/[ab]*' -q
expect 2 validate before good.pth
stderr_has 'a folder can be compared with a folder'
