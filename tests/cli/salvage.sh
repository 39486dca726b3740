# Of a damaged file --salvage writes what is whole, names what is lost, and ends with 1; never a zero for a lost number.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/hand-made/truncated_legacy.pth" cut.pth
cp "$fixtures/hand-made/flipped_bit_zip.pth" flipped.pth

# Without it nothing is written, and the message says what it would do.
expect 2 convert cut.pth -o out.pth
stderr_has 'storages are whole; the first that is not begins at byte'
stderr_has 'tensors are whole: torchferry convert --salvage writes them'
silent
expect 2 convert flipped.pth -o out.pth
stderr_has '--salvage writes the tensors that are whole'

# inspect names what is whole.
expect 2 inspect cut.pth
stdout_has 'damaged'
stdout_has 'whole       '
stdout_has 'state_dict.conv.weight'
stdout_has 'lost        4 tensors'
expect 2 inspect cut.pth --json
stdout_has '"salvage":'
stdout_has '"lost":'

# A stream that was cut.
expect 1 convert --salvage cut.pth -o out.pth
stdout_has 'bytes where'
stdout_has '[TF550]'
no_errors
lost=$(grep -c 'TF550' ../stdout)
[ "$lost" = 4 ] || fail "$lost lines of losses"
expect 0 inspect out.pth
rm out.pth

# A zip with one wrong bit: one tensor is lost, no other.
expect 1 convert --salvage flipped.pth -o out.pth
stdout_has 'state_dict.conv.weight: float32'
stdout_has 'the bytes give CRC-32'
expect 0 inspect out.pth --tensors
if grep -q 'conv.weight' ../stdout; then fail "the damaged tensor was written"; fi
rm out.pth

# The end of the archive is missing, the storages are not: nothing is lost, and it ends with 0.
size=$(stat -c %s "$fixtures/containers/state.pt")
head -c $((size - 30)) "$fixtures/containers/state.pt" >endless.pt
expect 2 convert endless.pt -o out.pth
stderr_has '2 of 2 tensors are whole: torchferry convert --salvage writes them'
expect 0 convert --salvage endless.pt -o out.pth
cp "$fixtures/containers/state.pt" whole.pt
expect 0 diff whole.pt out.pth
rm out.pth

# A tar that was cut.
head -c 7820 "$fixtures/containers/legacy.tar" >cut.tar
expect 2 convert cut.tar -o out.pth
stderr_has '1 of 2 tensors are whole'
expect 1 convert --salvage cut.tar -o out.pth
stdout_has 'b: int64 [2]: storage'
rm out.pth

# The pickle itself is cut: nothing can be had, and nothing is written.
head -c 300 "$fixtures/hand-made/truncated_zip.pth" >pickle.pth
expect 2 convert --salvage pickle.pth -o out.pth
stderr_has 'data.pkl'
stderr_has 'nobody can tell what the storages are'

# A dry run says it all and writes nothing; what is whole is converted as always.
expect 1 convert --salvage --dry-run cut.pth -o out.pth
stdout_has 'TF550'
expect 0 convert --salvage "$fixtures/1.4.0/sd_model.pth" -o fine.pth

# What names code is refused, damaged or not.
cp "$fixtures/hand-made/gadget_called.pth" called.pth
expect 3 convert --salvage called.pth -o out.pth
stderr_has 'os.getpid'

files_are <<'END'
called.pth
cut.pth
cut.tar
endless.pt
fine.pth
flipped.pth
pickle.pth
whole.pt
END
