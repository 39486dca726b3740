# A signal while converting: 128 + its number, and no trace; what a killed run left, the next one removes.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
make_large in.pth 256
echo old >out.pth
touch ../stdout ../stderr

# interrupted SIGNAL CODE: sends the signal once the temporary file is there. A background job of a script ignores SIGINT,
# so that is undone first.
interrupted() {
  env --default-signal=INT "$TORCHFERRY" convert in.pth -o out.pth --force --no-sync -q >../stdout 2>../stderr &
  local child=$! code=0
  while kill -0 $child 2>/dev/null && ! compgen -G '.out.pth.*.torchferry-tmp' >/dev/null; do :; done
  kill -s "$1" $child 2>/dev/null || true
  wait $child || code=$?
  echo $code
}

env --default-signal=INT true 2>/dev/null || skip "env knows no --default-signal"
for pair in TERM:143 INT:130 HUP:129; do
  code=$(interrupted ${pair%:*} 2>/dev/null)
  [ "$code" != 0 ] || skip "the run ended before the signal came"
  [ "$code" = "${pair#*:}" ] || fail "exit $code after SIG${pair%:*}"
  files_are <<'END'
in.pth
out.pth
END
  [ "$(cat out.pth)" = old ]
done

code=$(interrupted KILL 2>/dev/null)
[ "$code" = 137 ] || skip "the run ended before the signal came"
compgen -G '.out.pth.*.torchferry-tmp' >/dev/null || fail "a killed run left no temporary"
[ "$(cat out.pth)" = old ]
expect 0 convert in.pth -o out.pth --force --no-sync
files_are <<'END'
in.pth
out.pth
END
