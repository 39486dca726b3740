# --dry-run says what would be done and writes nothing.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
mkdir in
cp "$fixtures/1.4.0/dp_module_prefix.pth" in/model.pth

expect 0 convert in/model.pth -o out.pth --dry-run
stdout_is <<'END'
in/model.pth → out.pth
  legacy stream, 2.1 KiB → torch zip, SIZE; 9 tensors; nothing written
  state_dict: module. stripped from 9 keys [TF501]
  remark: a legacy stream carries no checksums: a flipped bit in a weight cannot be seen [TF601]
  remark: state_dict: a model with one child named 'module' looks the same as a wrapped one; --keep-prefix keeps the prefix [TF603]
END
no_errors
expect 0 convert in -o out --dry-run
stdout_is <<'END'
in/model.pth → out/model.pth
  legacy stream, 2.1 KiB → torch zip, SIZE; 9 tensors; nothing written
  state_dict: module. stripped from 9 keys [TF501]
  remark: a legacy stream carries no checksums: a flipped bit in a weight cannot be seen [TF601]
  remark: state_dict: a model with one child named 'module' looks the same as a wrapped one; --keep-prefix keeps the prefix [TF603]
END

# What would stand in the way is told as well.
expect 2 convert in/model.pth -o no/out.pth --dry-run
expect 2 convert in/model.pth -o in/model.pth --dry-run
stderr_has TF404
expect 3 convert "$fixtures/hand-made/gadget_called.pth" -o out.pth --dry-run

expect 0 convert in -o out --dry-run --json
stdout_has '"outcome": "planned"'
size=$(sed -n 's/.*"bytes_after": \([0-9]*\),/\1/p' ../stdout | tail -n 1)
files_are <<'END'
in/model.pth
END
[ ! -e out ]

expect 0 convert in -o out
[ "$(stat -c %s out/model.pth)" = "$size" ] || fail "planned $size bytes"
