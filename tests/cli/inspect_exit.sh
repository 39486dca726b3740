# Exit codes of inspect, and what it says of files that it cannot or will not open.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures"/hand-made/{gadget_in_zip,truncated_zip,flipped_bit_zip}.pth "$fixtures/1.12.1/sd_model.pth" .

expect 3 inspect gadget_in_zip.pth
stderr_has "unsafe global os.getpid"
stdout_is <<'END'
gadget_in_zip.pth  torch zip, 262 B
  refused     unsafe global os.getpid (the standard library has no place in a checkpoint but for known types)
              at byte 0x9 (9)
              in record 'archive/data.pkl'
              The pickle names code that has no place in a checkpoint; loading it with Python could run anything. Nothing was written.
  hint        do not load this file with weights_only=False
END

expect 2 inspect truncated_zip.pth
stdout_has 'whole       6 tensors'
stderr_has "torchferry: error: truncated_zip.pth: "

# A flipped bit of a weight is not looked at, unless asked for.
expect 0 inspect flipped_bit_zip.pth
expect 2 inspect --check flipped_bit_zip.pth
stdout_has "1 damaged:"

# The worst of many counts, and the others are told of all the same.
expect 3 inspect sd_model.pth truncated_zip.pth gadget_in_zip.pth
stdout_has "sd_model.pth  torch zip"
expect 2 inspect sd_model.pth missing.pth

# One document a file, one line each where there are several.
expect 3 inspect --json sd_model.pth truncated_zip.pth gadget_in_zip.pth
[ "$(wc -l <../stdout)" = 3 ] || fail "not three lines"
[ "$(grep -c '"schema":"torchferry.inspect/1"' ../stdout)" = 3 ] || fail "a line without its schema"
stdout_has '"code":"TF301"'
