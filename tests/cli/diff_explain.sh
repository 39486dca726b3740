# What diff says of differences: true of everything that differs, also of what does not count.
. "$(dirname "$0")/prelude.bash"

# make NAME TENSORS [ROOT]: NAME.safetensors of a Python dict of numbers, float32 unless (type, shape, bytes) are
# given; ROOT is the tree of a state beside it, where "@w" stands for tensor w.
make() {
  python3 - "$@" <<'PYTHON' || skip "no python3"
import json, os, struct, sys
from math import inf, nan

def raw(value):
    if isinstance(value, tuple):
        return value
    value = [value] if not isinstance(value, list) else value
    rows = value if value and isinstance(value[0], list) else [value]
    shape = [len(rows), len(rows[0])] if rows is value else [len(value)]
    return "F32", shape, b"".join(struct.pack("<f", x) for row in rows for x in row)

header, data = {}, b""
for name, value in eval(sys.argv[2]).items():
    kind, shape, octets = raw(value)
    header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(octets)]}
    data += octets
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
path = sys.argv[1] + ".safetensors"
open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
if os.path.exists(path + ".json"):
    os.remove(path + ".json")
if len(sys.argv) > 3:
    tree = lambda value: ({key: tree(one) for key, one in value.items()} if isinstance(value, dict) else
                          {"$tensor": value[1:]} if isinstance(value, str) and value[0] == "@" else value)
    state = {"schema": "torchferry.state/1", "root": tree(eval(sys.argv[3]))}
    open(path + ".json", "w").write(json.dumps(state, separators=(",", ":")))
PYTHON
}
# differ [OPTION...]: a and b differ.
differ() { expect 1 diff a.safetensors b.safetensors "$@"; }
stdout_lacks() { ! grep -qF -- "$1" ../stdout || fail "stdout says: $1"; }

# That only a counter differs is said where nothing else does, counted or not.
counter='"bn.num_batches_tracked": ("I64", [], struct.pack("<q", %d))'
make a "{${counter/\%d/5}, 'w': [1, 2]}"
make b "{${counter/\%d/6}, 'w': [1, 2]}"
differ
stdout_has 'only num_batches_tracked differs'
make b "{${counter/\%d/6}, 'w': [1, 3]}"
differ --ignore w
stdout_lacks 'only num_batches_tracked differs'
make a "{${counter/\%d/5}}" "{'bn.num_batches_tracked': '@bn.num_batches_tracked', 'epoch': 1}"
make b "{${counter/\%d/6}}" "{'bn.num_batches_tracked': '@bn.num_batches_tracked', 'epoch': 2}"
differ
stdout_lacks 'only num_batches_tracked differs'
differ --ignore epoch
stdout_lacks 'only num_batches_tracked differs'
make a "{${counter/\%d/5}, 'w': [1, 2]}" "{'bn.num_batches_tracked': '@bn.num_batches_tracked', 'w': '@w', 'v': '@w'}"
make b "{${counter/\%d/6}, 'w': [1, 2], 'v': [1, 2]}" \
  "{'bn.num_batches_tracked': '@bn.num_batches_tracked', 'w': '@w', 'v': '@v'}"
differ
stdout_has 'shared memory, are separate now'
stdout_lacks 'only num_batches_tracked differs'

# What a tensor holds now is found wherever it was: in one that is unchanged, gone, tied, or has a NaN.
make a "{'a': [1, 2, 3], 'b': [4, 5, 6]}"
make b "{'a': [4, 5, 6], 'b': [4, 5, 6]}"
differ
stdout_has 'holds what was in b'
make b "{'a': [4, 5, 6], 'b': [1, 2, 3]}"
differ
stdout_has 'changed places with a'
make b "{'b': [1, 2, 3]}"
differ
stdout_has 'holds what was in a'
make a "{'embed': [1, 2, 3], 'head': [4, 5, 6]}" "{'embed': '@embed', 'head': '@head', 'epoch': 1}"
make b "{'embed': [1, 2, 3]}" "{'embed': '@embed', 'head': '@embed', 'epoch': 1}"
differ
stdout_has 'holds what was in embed'
stdout_has 'were separate, share memory now'
make a "{'a': [nan, 2, 3], 'b': [4, 5, 6], 'c': [7, inf, 9]}"
make b "{'a': [4, 5, 6], 'b': [7, inf, 9], 'c': [nan, 2, 3]}"
differ
stdout_has 'holds what was in a'
stdout_has 'holds what was in b'
stdout_has 'holds what was in c'
signs='[[float((i * 2654435761 >> k) % 2 * 2 - 1) for k in range(7, 31)] for i in range(1, 31)]'
make a "{'k%d' % i: $signs[i] for i in range(30)}"
make b "{'k%d' % i: $signs[(i + 1) % 30] for i in range(30)}"
differ --all
[ "$(grep -c 'holds what was in' ../stdout)" = 30 ] || fail "not every tensor that moved is found"
# One value everywhere is equal to others by chance.
make a "{'a': [1, 2, 3], 'b': [0, 0, 0]}"
make b "{'a': [0, 0, 0], 'b': [0, 0, 0]}"
differ
stdout_has 'all zeros now'
stdout_lacks 'holds what was in'

# A row has a reason in every face, also where no number differs.
make a "{'a': [1, 2, 3], 'b': [4, 5, 6], 'c': [7, 8, 9]}"
make b "{'x': [1, 2, 3], 'y': [4, 5, 6], 'c': [7, 8, 9]}"
differ --report r.md --report r.jsonl --report r.html
stdout_has 'differs: 2 of 3 tensors renamed'
stdout_has '3 compared: 1 equal, 2 renamed'
stdout_has '↳ renamed to x'
stdout_lacks 'changed places'
for face in md jsonl html; do grep -q 'renamed to x' r.$face || fail "r.$face gives no reason"; done
make b "{'x': [1, 2, 3], 'y': [4, 5, 6], 'c': [7, 8, 0]}"
differ
stdout_has 'differs: 1 of 3 tensors over the bound (bit-equal), 2 renamed'
make a "{'w': [1, nan]}"
expect 1 diff a.safetensors a.safetensors --nan strict
stdout_has '↳ 1 pair of NaNs, which strictly are not equal'

# A tensor that is gone from a file with a state beside it is listed by name, like one of a .pt; convert refuses it.
make a "{'model.w': [1, 2], 'model.v': [3, 4]}" "{'model': {'w': '@model.w', 'v': '@model.v'}, 'epoch': 1}"
make b "{'model.v': [3, 4], 'model.x': [5, 6]}" "{'model': {'w': '@model.w', 'v': '@model.v'}, 'epoch': 1}"
differ
stdout_has 'differs: 1 tensor removed, 1 added'
stdout_has 'model.w'
stdout_has 'model.x'
expect 2 convert b.safetensors -o c.pt
stderr_has "there is no tensor 'model.w'"
make b "{'other': [3, 4]}" "{'model': {'w': '@model.w', 'v': '@model.v'}, 'epoch': 1}"
expect 2 diff a.safetensors b.safetensors
stderr_has 'it names none of the tensors that are there'
