# --report writes text, JSON or a page, by suffix; an existing report stays.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
mkdir in
cp "$fixtures/1.4.0/dp_module_prefix.pth" in/
cp "$fixtures/hand-made/gadget_called.pth" 'in/<b>&.pth'

for form in txt json html; do
  expect 3 convert in -o "out-$form" --report "report.$form"
  grep -qF dp_module_prefix.pth "report.$form"
  grep -qF TF501 "report.$form"
  grep -qF os.getpid "report.$form"
done
! grep -q '<b>' report.html || fail "the page takes a file name for its own"
grep -qF '&lt;b&gt;&amp;.pth' report.html
! grep -qE 'src=|href=|url\(' report.html || fail "the page needs other files"

expect 3 convert in -o out-json --report report.json --force --json
cmp report.json ../stdout

expect 2 convert in -o new --report report.txt
stderr_is <<'END'
torchferry: error: report.txt: the destination exists already [TF403]; hint: give --force to replace it
END
expect 2 convert in -o new --report report.pdf
stderr_has "the suffix says the form"
[ ! -e new ]
