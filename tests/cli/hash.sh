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

# What --tensors prints is a manifest too, also beside lines of whole files.
cp "$fixtures/1.12.1/bare_tensor.pt" bare.pt
expect 0 hash --tensors "$old" bare.pt
cp ../stdout manifest
expect 0 hash clean.pth
cat ../stdout >>manifest
expect 0 hash --check manifest
stdout_is <<OUT
$old: OK
bare.pt: OK
clean.pth: OK
OUT
sed -i "s/^$(tail -2 manifest | head -1 | cut -c1-32)/$(printf '%032d' 0)/" manifest
expect 1 hash --check manifest
stdout_has 'bare.pt: DIFFERS'
stdout_has ': differs'

# Nothing to hash is an error, as for the other verbs; what is lost is not passed over.
mkdir none
expect 2 hash none
stderr_has 'TF410'
expect 2 hash none --json
silent
code=0
"$TORCHFERRY" hash "$old" 2>../stderr >&- || code=$?
[ $code = 2 ] || fail "exit $code for a closed stdout"
stderr_has 'TF402'

# What cannot be hashed does not stop the others of a folder.
mkdir folder
cp "$fixtures/1.12.1/opt_adam.pth" folder/a.pth
echo text >folder/b.pth
cp folder/a.pth folder/c.pth
expect 2 hash folder
[ "$(wc -l <../stdout)" = 2 ] || fail "the others are not hashed"
