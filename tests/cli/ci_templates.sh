# The ready-made CI: what its steps run is run here, with the environment that GitHub, GitLab and pre-commit give.
. "$(dirname "$0")/prelude.bash"
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY GITHUB_OUTPUT TORCHFERRY_BEFORE TORCHFERRY_AFTER TORCHFERRY_POLICY TORCHFERRY_ARGS
python3 -c '' || skip "no python3"
ci=$TORCHFERRY_SOURCE/scripts/ci
binary=$TORCHFERRY
make() { python3 "$TORCHFERRY_SOURCE/tests/cli/torchless.py" "$@"; }
step() { python3 "$TORCHFERRY_SOURCE/tests/cli/ci_steps.py" "$@"; }

mkdir "old ones" new
make "old ones/a.pth" 'training()' && make new/a.pth 'training()'
make bad.pth 'training(epoch=4)'
printf '[[checkpoint]]\nbefore = "old ones/a.pth"\nafter = "new/a.pth"\n' >checkpoints.toml

# run CODE: a script on standard input, as GitHub's `shell: bash` and GitLab's runner run theirs.
run() {
  local want=$1 got=0
  cat >../step.sh
  bash --noprofile --norc -eo pipefail ../step.sh >../stdout 2>../stderr || got=$?
  [ "$got" = "$want" ] || fail "exit $got instead of $want"
}
reports_are_there() {
  local name
  for name in xml sarif json md html; do [ -s "$1/validation.$name" ] || fail "no $1/validation.$name"; done
}

# --- GitHub: two steps, inputs by environment, so that no input is ever a command.
export GITHUB_ACTION_PATH=$ci/github GITHUB_OUTPUT=$PWD/../outputs GITHUB_STEP_SUMMARY=$PWD/../summary GITHUB_ACTIONS=true
action() {  # CODE INPUT=VALUE…
  local want=$1
  shift
  : >"$GITHUB_OUTPUT" && : >"$GITHUB_STEP_SUMMARY"
  step "$ci/github/action.yml" 0 inputs.binary="$binary" | run 0
  grep -qxF "path=$binary" "$GITHUB_OUTPUT" || fail "the binary is not an output"
  step "$ci/github/action.yml" 1 steps.binary.outputs.path="$binary" inputs.reports=reports "$@" | run "$want"
  grep -qx "exit-code=$want" "$GITHUB_OUTPUT" || fail "no exit code among the outputs"
  grep -qx 'reports=reports' "$GITHUB_OUTPUT" || fail "no folder among the outputs"
}
action 0 inputs.before="old ones" inputs.after=new
reports_are_there reports
grep -q '^### ✅ passed' "$GITHUB_STEP_SUMMARY" || fail "no summary"
action 1 inputs.before="old ones/a.pth" inputs.after=bad.pth
reports_are_there reports
stderr_has '::error title=TF703 structure.changes,file=bad.pth::'
grep -q '^### ❌ failed' "$GITHUB_STEP_SUMMARY" || fail "no summary of a failure"
action 0 inputs.policy=checkpoints.toml
action 0 inputs.before="old ones/a.pth" inputs.after=bad.pth inputs.args=$'--ignore\nepoch'
action 2 inputs.before='$(touch injected)' inputs.after='`touch injected`'
[ ! -e injected ] || fail "an input was run as a command"
action 2
export -n GITHUB_ACTIONS GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_ACTION_PATH
unset GITHUB_ACTIONS GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_ACTION_PATH

# --- GitLab: the report lies where the template says that it lies.
template=$ci/gitlab/torchferry.gitlab-ci.yml
ln -s "$TORCHFERRY_SOURCE" torchferry
TORCHFERRY_POLICY=checkpoints.toml run 0 < <(step "$template" 0)
junit=$(sed -n 's/^ *junit: //p' "$template")
grep -q '<testsuite name="a.pth" tests="7" failures="0"' "$junit" || fail "no JUnit report at $junit"
reports_are_there "$(sed -n '/paths:/{n;s/^ *- //p}' "$template")"
TORCHFERRY_BEFORE="old ones/a.pth" TORCHFERRY_AFTER=bad.pth run 1 < <(step "$template" 0)
grep -q '<failure type="TF703"' "$junit" || fail "no failure in $junit"

# --- pre-commit: the entry of the hook, with the names of staged files.
hooks=$TORCHFERRY_SOURCE/.pre-commit-hooks.yaml
entry=$(sed -n 's/^ *entry: //p' "$hooks") pattern=$(sed -n 's/^ *files: //p' "$hooks")
for name in model.pt runs/x.pth old.pth.tar last.ckpt checkpoint.th model.safetensors; do
  grep -qE "$pattern" <<<"$name" || fail "the hook leaves out $name"
done
if grep -qE "$pattern" <<<"script.pth.py"; then fail "the hook takes script.pth.py"; fi
hook() {
  local want=$1
  shift
  printf '%q ' "$TORCHFERRY_SOURCE/${entry%% *}" ${entry#* } "$@" | run "$want"
}
hook 0 new/a.pth "old ones/a.pth"
head -c 500 new/a.pth >cut.pth
hook 2 new/a.pth cut.pth
make deque.pth 'training(when=__import__("collections").deque())'
hook 1 deque.pth new/a.pth
stdout_has 'loads.weights_only'
hook 3 "$fixtures/hand-made/gadget_called.pth"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >pointer.pth
hook 0 pointer.pth
stdout_has 'a git-lfs pointer, not checked'

# --- The script itself.
got=0; TORCHFERRY=nowhere "$ci/validate.sh" a b >../stdout 2>../stderr || got=$?
[ "$got" = 2 ] || fail "exit $got where the program is missing"
stderr_has 'TORCHFERRY is nowhere, which is no program'
"$ci/validate.sh" --help >../stdout && stdout_has 'Usage: scripts/ci/validate.sh'
