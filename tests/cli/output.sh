# What convert says of one file, in text and in JSON, and what it does not say when asked to be quiet.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.4.0/dp_module_prefix.pth" in.pth

expect 0 convert in.pth -o out.pth
stdout_is <<'END'
in.pth → out.pth
  legacy stream, 2.1 KiB → torch zip, SIZE; 9 tensors; verified
  state_dict: module. stripped from 9 keys [TF501]
  remark: a legacy stream carries no checksums: a flipped bit in a weight cannot be seen [TF601]
  remark: state_dict: a model with one child named 'module' looks the same as a wrapped one; --keep-prefix keeps the prefix [TF603]
END
no_errors

expect 0 convert in.pth -o out.pth --force --no-verify --layout keep
stdout_has 'not verified'

expect 0 convert in.pth -o out.pth --force -q
silent
no_errors

expect 0 convert in.pth -o out.pth --force --color always
stdout_has $'\e[2m[TF501]\e[0m'
NO_COLOR=1 expect 0 convert in.pth -o out.pth --force
! grep -q $'\e' ../stdout || fail "colours although NO_COLOR is set"

expect 0 convert in.pth -o out.pth --force --json
no_errors
stdout_has '"schema": "torchferry.convert/1"'
stdout_has '"source_xxh3_128": "'
python3 - ../stdout in.pth out.pth <<'PYTHON' || fail "JSON"
import json, os, sys
document = json.load(open(sys.argv[1]))
assert document["exit_code"] == 0 and not document["dry_run"] and document["layout"] == "clean"
(row,) = document["files"]
assert (row["source"], row["destination"], row["outcome"]) == ("in.pth", "out.pth", "converted")
assert row["bytes_before"] == os.path.getsize(sys.argv[2]) and row["bytes_after"] == os.path.getsize(sys.argv[3])
assert [c["code"] for c in row["changes"]] == ["TF501"] and row["verified"] is True
PYTHON

# The same input gives the same bytes and the same words, whatever the number of threads.
expect 0 convert in.pth -o again.pth --json -j 7
cmp out.pth again.pth
sed 's/again.pth/out.pth/' ../stdout >../second
expect 0 convert in.pth -o out.pth --force --json -j 1
cmp ../stdout ../second

# JSON also tells of what failed.
expect 3 convert "$fixtures/hand-made/gadget_called.pth" -o bad.pth --json
stderr_has 'os.getpid'
stdout_has '"outcome": "refused"'
stdout_has '"code": "TF301"'

# Output that cannot be printed is an error; a reader that leaves is none.
if [ -e /dev/full ]; then
  code=0
  "$TORCHFERRY" convert in.pth -o out.pth --force >/dev/full 2>../stderr || code=$?
  [ "$code" = 2 ] || fail "exit $code for a full standard output"
  stderr_has 'cannot write to standard output: No space left on device [TF402]'
fi
"$TORCHFERRY" convert in.pth -o out.pth --force -v | true
# Closed standard streams do not end up in the output file.
"$TORCHFERRY" convert in.pth -o closed.pth <&- >&- 2>&-
cmp closed.pth out.pth
