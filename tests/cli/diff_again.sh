# An archive of diff is judged as the two checkpoints are, whatever was asked of the run that saved it.
. "$(dirname "$0")/prelude.bash"
[ -x "$(dirname "$TORCHFERRY")/torchferry-hdf5" ] || skip "no torchferry-hdf5"

# tensors FILE NAME=NUMBERS...: a file of safetensors, float64.
tensors() {
  python3 - "$@" <<'PYTHON' || skip "no python3"
import json, struct, sys
header, data = {}, b""
for text in sys.argv[2:]:
    name, numbers = text.split("=")
    numbers = [float(number) for number in numbers.split(",")]
    header[name] = {"dtype": "F64", "shape": [len(numbers)], "data_offsets": [len(data), len(data) + 8 * len(numbers)]}
    data += struct.pack("<%dd" % len(numbers), *numbers)
head = json.dumps(header).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(head)) + head + data)
PYTHON
}

# What --json says of BEFORE and AFTER, and of the archive that was saved with the options SAVED: the same.
same() {
  local saved=$1 before=$2 after=$3 code=0
  shift 3
  "$TORCHFERRY" diff "$before" "$after" "$@" --json >../direct 2>../direct.err || code=$?
  # shellcheck disable=SC2086
  "$TORCHFERRY" diff "$before" "$after" $saved --save same.h5 --force -q >/dev/null 2>&1 || true
  expect "$code" diff same.h5 "$@" --json
  diff -u ../direct ../stdout >&2 || fail "an archive says something else: saved with '$saved', judged with $*"
  diff -u ../direct.err ../stderr >&2 || fail "an archive complains of something else"
}

# NaNs of equal pairs are known to an archive, whether they counted or not.
tensors nan.safetensors w=1,nan,inf
expect 0 diff nan.safetensors nan.safetensors --save m.h5 -q
expect 0 diff m.h5
expect 1 diff m.h5 --nan strict
same '' nan.safetensors nan.safetensors
same '' nan.safetensors nan.safetensors --nan strict
expect 0 diff nan.safetensors nan.safetensors --json
stdout_has '"nans_before": null'
expect 1 diff nan.safetensors nan.safetensors --json --nan strict
stdout_has '"nans_before": 1'

# What the saving run let pass is judged all the same: values, tensors that are gone, ties.
adam=$fixtures/1.12.1/opt_adam.pth adamw=$fixtures/1.12.1/opt_adamw.pth
printf 'allow_removed = ["*"]\nallow_added = ["*"]\n' >allow.toml
for saved in '' "--ignore *" '--policy allow.toml' '--rtol 9 --atol 9e9' '--nan strict'; do
  set -f
  same "$saved" "$adam" "$adamw"
  same "$saved" "$adam" "$adamw" --ignore '*'
  same "$saved" "$adam" "$adamw" --policy allow.toml --rtol 1e-3
  set +f
done

# Sums beyond doubles, and the bits of the worst element.
tensors long.safetensors w=1e300,-1e300,1 v=1e-300,3e-300
tensors longer.safetensors w=2e300,-1e300,1 v=2e-300,3e-300
same '' long.safetensors longer.safetensors
stdout_has '"before_bits": "0x7e37e43c8800759c"'

# Names stay whole, however long they are and whatever they end with.
long=$(printf 'k%.0s' $(seq 1500))
tensors name.safetensors "$long=1"
tensors names.safetensors "$long=2"
same '' name.safetensors names.safetensors --atol 'kkk*:2'
stdout_has '"state": "within"'

# Folders: files without a partner, and pairs that cannot be read.
mkdir one two
cp long.safetensors one/same.safetensors && cp long.safetensors two/same.safetensors
same '' one two
cp long.safetensors one/lost.safetensors
same '' one two
expect 1 diff same.h5 -q
cp long.safetensors two/lost.safetensors
echo junk >one/bad.safetensors && cp long.safetensors two/bad.safetensors
same '' one two
expect 2 diff same.h5
stderr_has 'bad.safetensors'

# What chooses the tensors comes too late.
expect 1 diff long.safetensors longer.safetensors --save m.h5 --force -q
for option in '--select w' '--include w' '--exclude w' '--rename a=b' '--as-stored' '--files x' '--skip x'; do
  # shellcheck disable=SC2086
  expect 2 diff m.h5 $option
  stderr_has "${option%% *} says what is compared"
  stderr_has 'TF406'
done
expect 2 diff m.h5 --spectral all
stderr_has 'TF406'
expect 2 diff long.safetensors
stderr_has 'torchferry diff BEFORE AFTER'

# A name that is empty is no name.
expect 2 diff long.safetensors longer.safetensors --save ''
stderr_has '--save: the name of the file is empty'
expect 2 diff long.safetensors ''
stderr_has 'AFTER: the name of the file is empty'
