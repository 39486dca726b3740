# The forward pass as test cases: goldens of two PyTorch agree, altered ones do not, and what cannot run says why.
. "$(dirname "$0")/prelude.bash"
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY
python3 -c '' || skip "no python3"
goldens=$fixtures/goldens
weights=$goldens/1.4.0/convnet.pth
expect 0 convert "$weights" -o new.pth -q

# alter SOURCE TARGET PATTERN FACTOR: a golden whose arrays of doubles and floats with such names are multiplied.
alter() {
  python3 - "$@" <<'PYTHON'
import array, re, sys, zipfile
source, target, pattern, factor = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
    for name in before.namelist():
        data = before.read(name)
        if re.fullmatch(pattern, name):
            start = 10 + int.from_bytes(data[8:10], "little")
            kind = "d" if b"'<f8'" in data[:start] else "f"
            numbers = array.array(kind, data[start:])
            data = data[:start] + array.array(kind, (x * factor for x in numbers)).tobytes()
        after.writestr(name, data)
PYTHON
}

# Two environments, honest: no false alarm.
expect 0 validate "$weights" new.pth --golden "$goldens/1.4.0/convnet.npz" --rerun "$goldens/1.12.1/convnet.npz"
stdout_has 'passed   drift.semantic.cpu.0  the same function: at most'
stdout_has 'passed   drift.rounding.cpu.0  within what rounding explains: at most'

# Another function, and rounding that no float32 explains.
alter "$goldens/1.12.1/convnet.npz" other.npz 'case/\d+/f(32|64)/(out/0|mod/\d+)\.npy' 1.001
expect 1 validate "$weights" new.pth --golden "$goldens/1.4.0/convnet.npz" --rerun other.npz
stdout_has 'failed   drift.semantic.cpu.0  not the same function: at most'
stdout_has '[TF707]'
stdout_has 'is the first module that differs'
alter "$goldens/1.12.1/convnet.npz" coarse.npz 'case/\d+/f32/out/0\.npy' 1.001
expect 1 validate "$weights" new.pth --golden "$goldens/1.4.0/convnet.npz" --rerun coarse.npz --junit v.xml --save v.h5
stdout_has 'passed   drift.semantic.cpu.0'
stdout_has 'failed   drift.rounding.cpu.0  farther than rounding explains'
grep -q '<failure type="TF708"' v.xml || fail "no failure in JUnit"

# Other bounds, with the files and later without them.
expect 0 validate "$weights" new.pth --golden "$goldens/1.4.0/convnet.npz" --rerun coarse.npz --sides 1e9
expect 0 validate "$weights" new.pth --golden "$goldens/1.4.0/convnet.npz" --rerun coarse.npz --without 'drift.rounding.*'
if [ -e v.h5 ]; then
  expect 1 validate v.h5
  stdout_has 'failed   drift.rounding.cpu.0  farther than rounding explains'
  expect 0 validate v.h5 --sides 1e9
  stdout_has 'passed   drift.rounding.cpu.0'
  expect 1 validate v.h5 --sides 1e9 --rounding 1e-9
  stdout_has 'failed   drift.rounding.cpu.0'
  expect 1 validate v.h5 --sides 1e9 --semantic 0
  stdout_has 'failed   drift.semantic.cpu.0'
fi

# A policy says the same.
cp "$goldens/1.4.0/convnet.npz" old.npz && cp "$weights" old.pth
printf '[[checkpoint]]\nbefore = "old.pth"\nafter = "new.pth"\ngolden = "old.npz"\nrerun = "coarse.npz"\n' >policy.toml
expect 1 validate policy.toml -q
printf 'sides = 1e9\n' >>policy.toml
expect 0 validate policy.toml -q

# What cannot run is skipped and says why; a GPU that is required is a failure.
export TORCHFERRY_REPLAY=$PWD/nowhere
cp "$fixtures/pt2/conv.pt2" model.pt2
expect 0 validate old.pth new.pth --golden old.npz --model model.pt2
stdout_has 'skipped  drift '
stdout_has 'torchferry-replay'
expect 1 validate old.pth new.pth --golden old.npz --model model.pt2 --require-gpu
stdout_has 'failed   drift                 a GPU is required'
stdout_has '[TF710]'
expect 1 validate old.pth new.pth --golden old.npz --rerun "$goldens/1.12.1/convnet.npz" --require-gpu
stdout_has 'a GPU is required: the new recording was made on cpu'
expect 0 validate old.pth new.pth --model model.pt2
stdout_has 'no --golden was given'
expect 2 validate old.pth new.pth --golden nowhere.npz --rerun coarse.npz
stderr_has 'nowhere.npz'
stdout_has 'error    drift'
