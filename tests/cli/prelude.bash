# What the scripts of this folder share: they run in an empty folder and compare exit codes and output exactly.
set -euo pipefail
export LC_ALL=C
unset NO_COLOR
fixtures=$TORCHFERRY_SOURCE/fixtures
mkdir work && cd work

fail() {
  echo "FAIL: $*" >&2
  echo "--- stdout" >&2 && cat ../stdout >&2
  echo "--- stderr" >&2 && cat ../stderr >&2
  exit 1
}
skip() {
  echo "skipped: $*"
  exit 77
}

# expect CODE ARGUMENT...: runs torchferry with the arguments; it must end with CODE.
expect() {
  local want=$1 got=0
  shift
  "$TORCHFERRY" "$@" >../stdout 2>../stderr || got=$?
  [ "$got" = "$want" ] || fail "exit $got instead of $want: torchferry $*"
}

# The text of the last run, compared with what stands on the standard input. Sizes of outputs, which may change with
# every version, read SIZE there.
stdout_is() {
  sed -E 's/→ (torch zip, )?[0-9.]+ ([KMG]i)?B/→ \1SIZE/' ../stdout >../sized
  diff -u - ../sized >&2 || fail "stdout differs"
}
stderr_is() { diff -u - ../stderr >&2 || fail "stderr differs"; }
stdout_has() { grep -qF -- "$1" ../stdout || fail "stdout does not say: $1"; }
stderr_has() { grep -qF -- "$1" ../stderr || fail "stderr does not say: $1"; }
silent() { [ ! -s ../stdout ] || fail "stdout is not empty"; }
no_errors() { [ ! -s ../stderr ] || fail "stderr is not empty"; }

# Every file below this folder, hidden ones too: what a run left.
files_are() { diff -u - <(find . -mindepth 1 ! -type d -printf '%P\n' | sort) >&2 || fail "other files are there"; }

# A zip checkpoint of $2 MiB that PyTorch 1.6 could have written, without PyTorch.
make_large() {
  python3 - "$1" "$2" <<'PYTHON' || skip "no python3"
import io, pickle, sys, types, zipfile

for name in ("torch", "torch._utils"):
    sys.modules[name] = types.ModuleType(name)

class FloatStorage:
    pass

def _rebuild_tensor_v2(*arguments):
    pass

FloatStorage.__module__, _rebuild_tensor_v2.__module__ = "torch", "torch._utils"
sys.modules["torch"].FloatStorage = FloatStorage
sys.modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2

class Tensor:
    def __init__(self, key, count):
        self.key, self.count = key, count

    def __reduce__(self):
        return _rebuild_tensor_v2, (Key(self), 0, (self.count,), (1,), False, {})

class Key:
    def __init__(self, tensor):
        self.tensor = tensor

class Pickler(pickle._Pickler):
    def persistent_id(self, value):
        if isinstance(value, Key):
            return "storage", FloatStorage, value.tensor.key, "cpu", value.tensor.count

count, each = int(sys.argv[2]), 1 << 20
text = io.BytesIO()
Pickler(text, 2).dump({"w%d" % i: Tensor(str(i), each // 4) for i in range(count)})
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_STORED) as archive:
    archive.writestr("archive/data.pkl", text.getvalue())
    for i in range(count):
        archive.writestr("archive/data/%d" % i, bytes([i & 255]) * each)
    archive.writestr("archive/version", "3\n")
PYTHON
}
