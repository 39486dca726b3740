# The page of diff in a real browser: it fits a phone and a desk, loads nothing, and its script runs without errors.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
browser=
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v $name >/dev/null; then
    browser=$name
    break
  fi
done
[ -n "$browser" ] || skip "no chromium, no google-chrome"

# probe PAGE WIDTH: what the page says of itself in a frame of that width. Browsers without a screen have a least width of
# their own, so the page lies in a frame, and its answer comes as a message.
probe() {
  {
    cat "$1"
    cat <<'HTML'
<script>
let errors = 0;
addEventListener("error", () => ++errors);
addEventListener("load", () => {
  const sort = document.querySelector("thead button"), find = document.querySelector(".find");
  if (sort) sort.click();
  if (find) find.value = "no such name", find.dispatchEvent(new Event("input"));
  parent.postMessage([
    "wide", document.documentElement.scrollWidth <= innerWidth,
    "loaded", performance.getEntriesByType("resource").length,
    "errors", errors,
    "sorted", document.querySelectorAll("[aria-sort]").length,
    "rows", [...document.querySelectorAll(".tensors tbody tr")].filter((row) => row.offsetParent).length,
    "nameless", [...document.querySelectorAll(".marks > *, .strips .heat > *")].filter((mark) => !mark.dataset.tip).length,
    "heading", document.querySelector("h1").textContent,
  ].join(" "), "*");
});
</script>
HTML
  } >probed.html
  cat >frame.html <<HTML
<body><script>addEventListener("message", (event) => document.body.dataset.said = event.data);</script>
<iframe style="border: 0; width: $2px; height: 900px" src="probed.html"></iframe></body>
HTML
  timeout 120 $browser --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$PWD/profile" \
    --enable-logging=stderr --virtual-time-budget=5000 --dump-dom "file://$PWD/frame.html" >dom 2>log ||
    skip "$browser does not run here: $(tail -n 1 log)"
  ! grep -F CONSOLE log >&2 || fail "the console of the browser is not empty"
  sed -n 's/.*data-said="\([^"]*\)".*/\1/p' dom
}

before=$fixtures/1.12.1/opt_adam.pth
expect 1 diff "$before" "$fixtures/1.12.1/opt_adamw.pth" --report differs.html
expect 0 diff "$before" "$before" --report identical.html
for width in 400 1400; do
  [ "$(probe differs.html $width)" = "wide true loaded 0 errors 0 sorted 1 rows 0 nameless 0 heading Differs" ] ||
    fail "differs.html at $width: $(grep -o 'data-said="[^"]*"' dom)"
  [ "$(probe identical.html $width)" = "wide true loaded 0 errors 0 sorted 1 rows 0 nameless 0 heading Identical" ] ||
    fail "identical.html at $width: $(grep -o 'data-said="[^"]*"' dom)"
done
