# convert --to: other containers, their names in folders, shards, and what stands beside them.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"

# A state_dict with module versions: the tensors, and the versions in JSON beside them.
expect 0 convert "$fixtures/1.4.0/sd_model.pth" -o model.safetensors --to safetensors
stdout_has "what is no tensor stands in 'model.safetensors.json' [TF642]"
stdout_has '→ safetensors,'
files_are <<'END'
model.safetensors
model.safetensors.json
END
head -c 200 model.safetensors.json | grep -qF '{"schema":"torchferry.state/1","provenance":{"schema": "torchferry.provenance/1"' || fail "no schema"
expect 0 hash model.safetensors "$fixtures/1.4.0/sd_model.pth"
[ "$(cut -d' ' -f1 ../stdout | uniq | wc -l)" = 1 ] || fail "the hash is another"
expect 0 diff "$fixtures/1.4.0/sd_model.pth" model.safetensors
expect 0 convert model.safetensors -o back.pt --layout keep
expect 0 diff "$fixtures/1.4.0/sd_model.pth" back.pt

# It is bytes for bytes the same the second time, and nothing is replaced unasked: not the JSON either.
expect 0 convert "$fixtures/1.4.0/sd_model.pth" -o again.safetensors --to safetensors -q
cmp model.safetensors again.safetensors
rm model.safetensors
expect 2 convert "$fixtures/1.4.0/sd_model.pth" -o model.safetensors --to safetensors
stderr_has 'model.safetensors.json'
[ ! -e model.safetensors ] || fail "half of the output was written"
mv again.safetensors model.safetensors

# JSON of others is left alone; a state of other tensors is an error.
mv model.safetensors.json state && echo '{"a": 1}' >model.safetensors.json
expect 0 hash model.safetensors
echo '{"schema":"torchferry.state/1","root":{"w":{"$tensor":"w"}}}' >model.safetensors.json
expect 2 hash model.safetensors
stderr_has "there is no tensor 'w' [TF120]; hint: move that file away to read the tensors alone"
rm -r ./*

# Shards: an index beside them; each has at least one tensor.
expect 0 convert "$fixtures/1.4.0/sd_model.pth" -o model.safetensors --to safetensors --max-shard-size 300B
[ -e model.safetensors.index.json ] && [ -e model-00001-of-0000"$(ls model-*.safetensors | wc -l)".safetensors ] || fail "no shards"
[ ! -e model.safetensors ] || fail "a whole beside its parts"
expect 0 diff "$fixtures/1.4.0/sd_model.pth" model.safetensors.index.json
expect 0 convert model.safetensors.index.json -o back.pt --layout keep
expect 0 diff "$fixtures/1.4.0/sd_model.pth" back.pt
rm -r ./*
expect 2 convert "$fixtures/1.4.0/sd_model.pth" -o m.h5 --to hdf5 --max-shard-size 5GB
stderr_has 'is for --to safetensors'
expect 2 convert "$fixtures/1.4.0/sd_model.pth" -o m.safetensors --to safetensors --max-shard-size much
stderr_has "this is no size [TF406]; hint: --max-shard-size 5GB"

# A dict of tensors and nothing else needs no JSON; a tied tensor is written once.
expect 0 convert "$fixtures/containers/state.pt" -o w.npz --to npz
files_are <<'END'
w.npz
END
expect 0 convert "$fixtures/1.12.1/tied_weights.pth" -o tied.safetensors --to safetensors
stdout_has 'tied tensors, written once'
expect 0 diff "$fixtures/1.12.1/tied_weights.pth" tied.safetensors
rm -r ./*

# In folders the suffix of a checkpoint gives way; files of torch keep theirs.
mkdir -p in/sub
cp "$fixtures/1.4.0/ffb6d_o1.pth.tar" in/best.pth.tar
cp "$fixtures/1.4.0/sd_model.pth" in/sub/last.pth
for to in safetensors npz; do
  expect 0 convert in -o "out-$to" --to $to
done
expect 0 convert in -o out-legacy --to legacy
(cd out-safetensors && files_are) <<'END'
best.safetensors
best.safetensors.json
sub/last.safetensors
sub/last.safetensors.json
END
(cd out-legacy && files_are) <<'END'
best.pth.tar
sub/last.pth
END
expect 0 diff in out-npz
expect 0 diff in out-legacy
expect 0 convert out-npz/best.npz -o back/ # no file of torch is called .npz
[ -e back/best.pt ] || fail "best.npz did not become best.pt"
cp in/best.pth.tar in/best.ckpt
expect 2 convert in -o other --to npz
stderr_has "would both be written to 'other/best.npz'"
[ ! -e other ] || fail "something was written"
expect 0 convert in/best.ckpt -o dry.npz --to npz --dry-run
[ ! -e dry.npz ] || fail "a dry run wrote"
rm -r ./*

# What a target lacks is refused by name, and nothing stays.
expect 2 convert "$fixtures/1.12.1/dtypes_all.pt" -o t.safetensors --to safetensors
stderr_has 'safetensors has no name for the type complex128'
stderr_has '[TF240]'
expect 2 convert "$fixtures/1.12.1/dtypes_all.pt" -o t.pth --to legacy
stderr_has 'PyTorch before 1.6 has no storages of complex64'
files_are </dev/null
expect 0 convert "$fixtures/1.12.1/dtypes_all.pt" -o t.npz --to npz
expect 0 diff "$fixtures/1.12.1/dtypes_all.pt" t.npz

# Back to optimizers that count in integers.
expect 0 convert "$fixtures/legacy/training.pt" -o training.pth --to legacy
stdout_has 'optimizer.state: 6 step counts → integers [TF540]'
stdout_has '→ legacy stream,'
expect 0 convert "$fixtures/legacy/newer.pt" -o newer.pth --to legacy
stdout_has 'PyTorch before 1.2 does not know bfloat16, bool [TF640]'
