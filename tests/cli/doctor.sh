# What doctor prints for people, for a machine that is made here.
. "$(dirname "$0")/prelude.bash"

site=machine/usr/lib/python3.11/site-packages
mkdir -p "$site/torch" machine/usr/bin machine/proc/driver/nvidia/gpus/0 machine/proc/driver/nvidia/gpus/1
: >machine/usr/lib/python3.11/os.py
printf '\177ELF' >machine/usr/bin/python3.11
chmod +x machine/usr/bin/python3.11
ln -s python3.11 machine/usr/bin/python3
printf "__version__ = '2.3.1+cu121'\ncuda = '12.1'\nhip = None\n" >"$site/torch/version.py"
metadata() {
  mkdir -p "$site/$1-$2.dist-info"
  printf 'Metadata-Version: 2.1\nName: %s\nVersion: %s\n' "$1" "$2" >"$site/$1-$2.dist-info/METADATA"
}
metadata torch 2.3.1+cu121
metadata transformers 4.50.0
metadata accelerate 0.34.2
printf 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n' >machine/proc/driver/nvidia/version
for gpu in 0 1; do printf 'Model: \t\t NVIDIA A100\n' >machine/proc/driver/nvidia/gpus/$gpu/information; done

# Nothing of the machine that runs this; the helper programs are those beside the binary, and they may be there or not.
examine() { env -i PATH=/usr/bin HOME=/root "$TORCHFERRY" doctor "$@" >../stdout 2>../stderr; }
examine --root machine && fail "a conflict ended with 0"
[ $? = 1 ] || fail "a conflict did not end with 1"
sed -n '/^machine$/,$p' ../stdout | grep -v TF657 >../cut && mv ../cut ../stdout
stdout_is <<'END'
machine
  NVIDIA    driver 535.129.03; NVIDIA A100 × 2
  AMD       no driver

/usr/bin/python3
  Python    3.11, system; by PATH; also /usr/bin/python3.11
  PyTorch   2.3.1+cu121, built for CUDA 12.1
  ranges    for PyTorch 2.3
            transformers     4.50.0  >=4.41.0,<4.50.0  does not fit
            diffusers        none    >=0.28.0,<0.35.0
            accelerate       0.34.2  >=0.29.0,<0.35.0  fits
            huggingface_hub  none    >=0.23.0,<0.30.0
  conflict  transformers 4.50.0 does not go with PyTorch 2.3.1+cu121, which takes >=4.41.0,<4.50.0 [TF650]
  install   /usr/bin/python3 -m pip install 'transformers>=4.41.0,<4.50.0' 'accelerate>=0.29.0,<0.35.0'

1 conflict
END
no_errors

# Mended, it is fine; what is missing is proposed.
rm -r "$site/transformers-4.50.0.dist-info"
metadata transformers 4.49.0
examine --root machine || fail "no conflict, and not 0"
grep -qF "'huggingface_hub>=0.23.0,<0.30.0'" ../stdout || fail "what is missing is not proposed"

# A table of one's own; messages name its lines.
cat >mine.toml <<'END'
[[torch]]
from = "2.0"
packages = { transformers = ">=4.49.1" }
END
examine --root machine --ranges mine.toml && fail "the table was not used"
printf '[[torch]]\nfrom = "2.0"\npackages = { transformers = "4.49" }\n' >mine.toml
expect 2 doctor --ranges mine.toml
stderr_has "TF413"
stderr_has "line 3"
expect 2 doctor --ranges nowhere.toml
stderr_has "TF401"

# Terminals are not steered by what a file holds.
printf "__version__ = '2.3.1\033[31m'\n" >"$site/torch/version.py"
examine --root machine || true
if grep -q $'\033' ../stdout; then fail "an escape went through"; fi

expect 2 doctor --root nowhere
stderr_has "TF401"
expect 2 doctor --python nowhere
stderr_has "TF401"
expect 2 doctor --python mine.toml
stderr_has "TF410"
expect 2 doctor --root machine --run
stderr_has "TF406"
expect 2 doctor --time-limit 0
expect 0 doctor --help
for word in --python --root --run --ranges --json VIRTUAL_ENV; do stdout_has "$word"; done

# Torchferry itself: helper programs that are not there, and one that says nothing.
printf '#!/bin/sh\nexec sleep 0\n' >silent
printf '#!/bin/sh\necho "{\\"event\\":\\"error\\"}"\nexit 2\n' >speaking
chmod +x silent speaking
mkdir empty
env -i TORCHFERRY_HDF5="$PWD/silent" TORCHFERRY_REPLAY="$PWD/speaking" "$TORCHFERRY" doctor --root empty >../stdout 2>../stderr ||
  fail "an empty machine is fine"
grep -qE '^torchferry [0-9.]+ [+-]isal -hdf5 \+torch-replay$' ../stdout || fail "features"
stdout_has "does not answer: exit code 0"
stdout_has "no Python was found"
env -i TORCHFERRY_HDF5=/nowhere TORCHFERRY_REPLAY=/nowhere "$TORCHFERRY" doctor --root empty --json >../stdout 2>../stderr || fail "JSON"
stdout_has '"hdf5": false'
stdout_has '"pythons": []'
