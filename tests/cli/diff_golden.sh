# Two goldens are judged as forward passes, and known changes are explained.
. "$(dirname "$0")/prelude.bash"

goldens=$TORCHFERRY_SOURCE/fixtures/goldens
old=$goldens/1.4.0/convnet.npz new=$goldens/1.12.1/convnet.npz

expect 0 diff "$old" "$new"
stdout_has 'same function, same rounding: 10 output rows on 10 inputs'
stdout_has 'of 1,024 allowed'
expect 0 diff "$old" "$new" --json
stdout_has '"schema": "torchferry.forward/1"'
stdout_has '"outcome": "pass"'
expect 0 diff "$old" "$new" --report forward.json --report forward.txt -q
grep -q '"outcome": "pass"' forward.json || fail "no verdict in forward.json"
grep -q 'outputs, the worst first' forward.txt || fail "no table in forward.txt"

# HDF5 holds the same as npz.
if [ -x "${TORCHFERRY%/*}/torchferry-hdf5" ]; then
  expect 0 diff "$goldens/1.4.0/stft_audio.h5" "$goldens/1.12.1/stft_audio.h5"
  stdout_has 'same function, same rounding'
fi

# Of two models there is no input in common, or not the same ones.
expect 1 diff "$old" "$goldens/1.4.0/transformer.npz"
stdout_has 'the inputs are not the same'

expect 2 diff "$old" "$new" --rtol 1e-3
stderr_has 'a bound means nothing for two goldens'

expect 0 explain interp-scale
stdout_has 'recompute_scale_factor=True'
expect 0 explain --known-changes
stdout_has 'tf32-conv'
expect 0 explain interp-scale --json
stdout_has '"id": "interp-scale"'
