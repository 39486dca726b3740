# What changed between two checkpoints: exit codes, explanations, bounds, names, folders.
. "$(dirname "$0")/prelude.bash"

# flip SOURCE TARGET OFFSET MASK: a copy with some bits of one byte turned round; negative offsets count from the end.
flip() {
  python3 - "$@" <<'PYTHON' || skip "no python3"
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[int(sys.argv[3])] ^= int(sys.argv[4], 0)
open(sys.argv[2], "wb").write(data)
PYTHON
}

old=$fixtures/1.4.0/ffb6d_o1.pth.tar
expect 0 convert "$old" -o clean.pth -q
expect 0 convert "$old" -o keep.pth -q --layout keep

# A conversion changed what it lists, and nothing else.
expect 0 diff "$old" clean.pth
stdout_has 'identical but for 6 listed changes: 92 tensors, 830 elements, bit for bit'
stdout_has 'model_state: module. stripped from 32 keys [TF501]'
no_errors
expect 0 diff "$old" keep.pth
expect 0 diff keep.pth clean.pth
expect 0 diff "$old" "$old" --json
stdout_has '"state": "identical"'
expect 0 diff "$old" clean.pth -q
silent

# As it is stored, module. and amp are differences.
expect 1 diff "$old" clean.pth --as-stored
stdout_has 'optimizer_state.state.0.step'

# Tensors are named as reports name them, whatever prefix one of the files has.
expect 0 diff "$old" clean.pth --include 'model_state.cnn*'
stdout_has 'identical but for 6 listed changes: 6 tensors'
stdout_has '86 tensors left out'
expect 0 diff "$old" clean.pth --exclude 'model_state.*'
stdout_has '60 tensors'
expect 2 diff "$old" clean.pth --include nothing
stderr_has 'TF409'

# One bit of one weight, in a format that has no checksums.
flip "$old" flipped.pth.tar -100 0x40
expect 1 diff flipped.pth.tar clean.pth
stdout_has 'differs: 1 of 92 tensors'
expect 0 diff flipped.pth.tar clean.pth --rtol 1e30 --atol 1e300
expect 1 diff flipped.pth.tar clean.pth --ulp 1
expect 0 diff flipped.pth.tar clean.pth --ignore '*'

# Damage that a checksum tells of is no difference but an error.
flip clean.pth damaged.pth -9000 0x01
expect 2 diff clean.pth damaged.pth
stderr_has 'damaged.pth'

# What was measured is judged again without the checkpoints.
expect 1 diff flipped.pth.tar clean.pth --save m.h5 -q
rm flipped.pth.tar
if [ -e m.h5 ]; then
  expect 1 diff m.h5
  stdout_has 'differs: 1 of 92 tensors'
  expect 0 diff m.h5 --rtol 1e30 --atol 1e300
  expect 2 diff "$old" clean.pth --save m.h5
  stderr_has 'TF403'
fi
for lone in "diff clean.pth" "diff ." "validate clean.pth"; do
  expect 2 $lone
  stderr_has 'AFTER is missing'
done
expect 2 diff clean.pth ''
stderr_has 'AFTER: the name of the file is empty'
for rows in -1 99999999999999999999 x; do
  expect 2 diff clean.pth keep.pth -n $rows
  stderr_has 'TF406'
done

# Reports of every kind.
expect 0 diff "$old" clean.pth --report r.txt --report r.json --report r.jsonl --report r.md --report r.html -q
python3 -c 'import json; json.load(open("r.json")); [json.loads(line) for line in open("r.jsonl")]'
grep -q '<html' r.html
expect 2 diff "$old" clean.pth --report r.html
stderr_has 'TF403'
expect 2 diff "$old" clean.pth --report r.pdf
stderr_has 'the suffix says the form'

# Nothing that is read is replaced, whatever --force says: neither files nor shards nor what lies beside them.
cp clean.pth in.json && cp clean.pth other.html && ln other.html link.html
for output in in.json ./in.json other.html link.html; do
  expect 2 diff in.json other.html --report $output --force
  stderr_has 'TF404'
  stderr_has 'hint: give the result another name'
done
expect 2 diff in.json other.html --save in.json --force
stderr_has 'TF404'
cmp in.json clean.pth && cmp other.html clean.pth
expect 2 diff in.json clean.pth --report new.md --report ./new.md
stderr_has 'two results would be written to this file'
expect 0 convert clean.pth --to safetensors --max-shard-size 1KiB -o sharded.safetensors -q
shard=$(ls sharded-00001*)
for output in "$shard" sharded.safetensors.index.json; do
  expect 2 diff clean.pth sharded.safetensors.index.json --save "$output" --force
  stderr_has 'TF404'
done
expect 2 validate clean.pth other.html --report other.html --force
stderr_has 'TF404'
expect 2 diff clean.pth keep.pth --policy in.json --report in.json --force
expect 2 convert in.json -o converted.pth --report in.json --force
stderr_has 'TF404'
cmp in.json clean.pth

# A policy, with its lines; a map.
printf 'ignore = ["*"]\n' >policy.toml
expect 0 diff "$fixtures/1.12.1/opt_adam.pth" "$fixtures/1.12.1/opt_adamw.pth" --policy policy.toml
expect 1 diff "$fixtures/1.12.1/opt_adam.pth" "$fixtures/1.12.1/opt_adamw.pth"
printf '# bounds\n[[bounds]]\nname = "*"\nrtol = -1\n' >bad.toml
expect 2 diff "$old" clean.pth --policy bad.toml
stderr_has 'bad.toml'
stderr_has 'line 4'
printf 'nowhere elsewhere\n' >map
expect 2 diff "$old" clean.pth --map map
stderr_has "the map names 'nowhere'"

printf '\n { "nowhere": "elsewhere" }' >map
expect 2 diff "$old" clean.pth --map map
stderr_has "map: the map names 'nowhere'"
printf 'a b\n\nc b\n' >map
expect 2 diff "$old" clean.pth --map map
stderr_has "map: 'b' stands twice among the names of after; line 3"
expect 0 diff "$old" clean.pth --rtol 'nosuch*:1' --rtol 'model_state.*:0'
stderr_has "no tensor has a name that matches 'nosuch*'"
[ "$(wc -l <../stderr)" = 1 ] || fail "a bound that is met is remarked on"

# Folders: files meet by name, whatever their suffix; what has no partner counts.
mkdir a b
cp "$old" a/one.pth.tar && cp clean.pth b/one.pt
expect 0 diff a b
cp keep.pth a/two.pth
expect 1 diff a b
stdout_has 'two.pth'
expect 2 diff a "$old"
stderr_has 'a folder can be compared with a folder'
mkdir empty
expect 2 diff a empty
stderr_has 'TF410'

# Of values what differs is shown, however long they are; what does not count is said.
python3 - <<'PYTHON'
import pickle
for name, x in (("v1", "A"), ("v2", "B")):
    values = {"b": x.encode() * 2, "long": bytes(500) + x.encode(), "i": 10**400 + ord(x), "s": "x" * 60 + x + "\x1b" + "x" * 60}
    pickle.dump(values, open(name + ".pkl", "wb"), 2)
PYTHON
expect 1 diff v1.pkl v2.pkl
stdout_has '  b: 2 bytes: 4141 → 2 bytes: 4242'
stdout_has '  long: 501 bytes (at 500): …0000000041 → 501 bytes (at 500): …0000000042'
stdout_has '  i: an integer of 167 bytes: 0x…0000000041 → an integer of 167 bytes: 0x…0000000042'
stdout_has "  s: '…xxxxxxxxxxxxxxA\x1bxxxxxxxxxxxxxxxxxxx…' (at 60) → '…xxxxxxxxxxxxxxB\x1bxxxxxxxxxxxxxxxxxxx…' (at 60)"
expect 0 diff v1.pkl v2.pkl --ignore '*' --report ignored.json --report ignored.md --report ignored.html
stdout_has 'identical: no tensors; 4 values not compared'
stdout_has '  b: not compared: 2 bytes: 4141'
grep -q '"values_not_compared": 4' ignored.json
grep -q '| values not compared |' ignored.md
grep -q '4 values not compared' ignored.html

# Refused for safety outranks everything.
expect 3 diff "$fixtures/hand-made/gadget_called.pth" clean.pth
stderr_has 'os.getpid'
expect 2 diff clean.pth nowhere.pth
expect 2 diff clean.pth keep.pth --rtol abc
stderr_has "a bound is a number of 0 or more"
