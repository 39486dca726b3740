# Content hashes: the same for a checkpoint and its conversion, another for another weight.
. "$(dirname "$0")/prelude.bash"

old=$fixtures/1.4.0/ffb6d_o1.pth.tar
expect 0 convert "$old" -o clean.pth -q
expect 0 convert "$old" -o keep.pth -q --layout keep
expect 0 hash "$old" clean.pth keep.pth
[ "$(cut -d' ' -f1 ../stdout | sort -u | wc -l)" = 1 ] || fail "three containers, several hashes"
expect 0 hash "$old" clean.pth keep.pth --exclude 'model_state.cnn*'  # by the names that it prints
[ "$(cut -d' ' -f1 ../stdout | sort -u | wc -l)" = 1 ] || fail "three containers without some tensors, several hashes"
expect 0 hash --as-stored "$old" clean.pth
[ "$(cut -d' ' -f1 ../stdout | sort -u | wc -l)" = 2 ] || fail "as stored, the names differ"

expect 0 hash "$old" clean.pth
cp ../stdout manifest
expect 0 hash --check manifest
stdout_is <<OUT
$old: OK
clean.pth: OK
OUT
cp "$fixtures/1.12.1/opt_adam.pth" clean.pth
expect 1 hash --check manifest
stdout_has 'clean.pth: DIFFERS'
expect 2 hash --check nowhere
printf 'abc  x\n' >manifest
expect 2 hash --check manifest
stderr_has 'line 1'

expect 0 hash --tensors "$fixtures/1.12.1/bare_tensor.pt"
stdout_has '# model '
expect 0 hash --json --tensors "$old"
python3 -c 'import json, sys; d = json.load(open("../stdout")); assert len(d["tensors"]) == 92, d' || fail "JSON"
expect 2 hash
stderr_has 'PATH is missing'
expect 3 hash "$fixtures/hand-made/gadget_called.pth"
