# Every system call that reads or writes fails once, at every place: the destination is the old file or the whole new
# one, nothing else is left, and the exit code tells which. Interrupted and short transfers are no failures.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
case $(ldd "$TORCHFERRY") in *asan* | *tsan*) skip "the sanitizer wants to be loaded first" ;; esac
cat >../faults.cpp <<'CPP'
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

namespace {

// True when this is the call that has to fail: the FAULT_AT-th of the function FAULT_CALL.
bool fails(const char* name) {
  static std::atomic<int> calls{0};
  const char* const call = getenv("FAULT_CALL");
  if (call == nullptr || strcmp(call, name) != 0 || ++calls != atoi(getenv("FAULT_AT"))) return false;
  errno = atoi(getenv("FAULT_ERRNO"));
  return errno != 0;
}

// FAULT_SHORT: every transfer moves one byte less than it could, one byte at least.
size_t shortened(size_t size) { return getenv("FAULT_SHORT") != nullptr && size > 1 ? size - size / 3 - 1 : size; }

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {
ssize_t pread(int fd, void* to, size_t size, off_t at) {
  return fails("pread") ? -1 : real<decltype(pread)>("pread")(fd, to, shortened(size), at);
}
ssize_t pread64(int fd, void* to, size_t size, off_t at) {
  return fails("pread") ? -1 : real<decltype(pread64)>("pread64")(fd, to, shortened(size), at);
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  return fails("pwrite") ? -1 : real<decltype(pwrite)>("pwrite")(fd, from, shortened(size), at);
}
ssize_t pwrite64(int fd, const void* from, size_t size, off_t at) {
  return fails("pwrite") ? -1 : real<decltype(pwrite64)>("pwrite64")(fd, from, shortened(size), at);
}
ssize_t copy_file_range(int in, off_t* from, int out, off_t* to, size_t size, unsigned flags) {
  return fails("copy_file_range") ? -1
                                  : real<decltype(copy_file_range)>("copy_file_range")(in, from, out, to, shortened(size), flags);
}
int fsync(int fd) { return fails("fsync") ? -1 : real<decltype(fsync)>("fsync")(fd); }
int fallocate(int fd, int mode, off_t at, off_t size) {
  return fails("fallocate") ? -1 : real<decltype(fallocate)>("fallocate")(fd, mode, at, size);
}
int fchmod(int fd, mode_t mode) { return fails("fchmod") ? -1 : real<decltype(fchmod)>("fchmod")(fd, mode); }
int fstat(int fd, struct stat* status) { return fails("fstat") ? -1 : real<decltype(fstat)>("fstat")(fd, status); }
int rename(const char* from, const char* to) { return fails("rename") ? -1 : real<decltype(rename)>("rename")(from, to); }
int renameat2(int a, const char* from, int b, const char* to, unsigned flags) {
  return fails("renameat2") ? -1 : real<decltype(renameat2)>("renameat2")(a, from, b, to, flags);
}
// A close that fails has closed all the same.
int close(int fd) {
  const int result = real<decltype(close)>("close")(fd);
  return fails("close") ? -1 : result;
}
int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  return fails("open") ? -1 : real<int(const char*, int, ...)>("open")(path, flags, mode);
}
}
CPP
${CXX:-c++} -shared -fPIC -O1 -o ../faults.so ../faults.cpp -ldl 2>/dev/null || skip "no compiler"

cp "$fixtures/1.12.1/ffb6d_o1.pth.tar" in.pth
expect 0 convert in.pth -o out.pth
mv out.pth ../whole

# run OLD VARIABLE=VALUE...: one run with a fault; sets $code.
run() {
  rm -f out.pth
  local options=(-j 1)
  if [ "$1" = old ]; then
    cp in.pth out.pth
    options+=(--force)
  fi
  shift
  code=0
  env LD_PRELOAD="$PWD/../faults.so" "$@" "$TORCHFERRY" convert in.pth -o out.pth "${options[@]}" >../stdout 2>../stderr || code=$?
}

# check BEFORE WHAT: exactly one of two ends.
check() {
  [ -z "$(find . -name '*torchferry-tmp')" ] || fail "a temporary is left: $2"
  cmp -s in.pth "$fixtures/1.12.1/ffb6d_o1.pth.tar" || fail "the input changed: $2"
  if [ "$code" = 0 ]; then
    cmp -s out.pth ../whole || fail "exit 0 without the whole output: $2"
  else
    [ "$code" = 2 ] && grep -q '^torchferry: error: ' ../stderr || fail "exit $code: $2"
    [ "$(wc -l <../stderr)" = 1 ] || fail "more than one message: $2"
    if cmp -s out.pth ../whole 2>/dev/null; then
      grep -q 'the file is complete' ../stderr || fail "an error, but the output is there: $2"
    elif [ "$1" = old ]; then
      cmp -s out.pth in.pth || fail "the destination is neither old nor new: $2"
    else
      [ ! -e out.pth ] || fail "half an output: $2"
    fi
  fi
}

EINTR=4 EIO=5 ENOSPC=28 EDQUOT=122 EACCES=13 EMFILE=24
faults=0
for call in pread pwrite fsync fallocate rename renameat2 close open copy_file_range fchmod fstat; do
  case $call in
    pread | pwrite | copy_file_range) errors="$EIO $ENOSPC $EINTR" ;;
    fsync | fallocate) errors="$EIO $EDQUOT $EINTR" ;;
    open) errors="$EMFILE $EACCES" ;;
    *) errors="$EIO" ;;
  esac
  for before in new old; do
    for errno in $errors; do
      for ((at = 1; at <= 400; at++)); do
        run $before FAULT_CALL=$call FAULT_AT=$at FAULT_ERRNO=$errno
        check $before "errno $errno at call $at of $call"
        [ $errno != $EINTR ] || [ "$code" = 0 ] || fail "an interrupted $call is no failure (call $at)"
        faults=$((faults + (code != 0)))
        # The run behind the last call is one without a fault; with EINTR all are.
        if [ "$code" = 0 ] && { [ $errno != $EINTR ] || [ $at -ge 40 ]; }; then break; fi
      done
    done
  done
done
[ $faults -gt 50 ] || fail "only $faults faults were met: the calls have other names here"

run new FAULT_SHORT=1
check new "short transfers"
[ "$code" = 0 ] || fail "short transfers are no failure"
echo "$faults faults"
