# Rules are listed, turned on by --fix, off by --without, and steered; what does not exist is named.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.4.0/ffb6d_o1.pth.tar" in.pth

expect 0 convert --list-rules
no_errors
grep -qE '^prefixes +layout clean +a model that is not wrapped has no such keys$' ../stdout || fail "prefixes is not listed"
grep -qE '^weight_norm +--fix +torch' ../stdout || fail "weight_norm is not listed"
grep -qE '^devices +always +a tag' ../stdout || fail "devices is not listed"
grep -qE '^rename +its option +the new' ../stdout || fail "rename is not listed"
expect 0 convert --list-rules --json
stdout_has '"schema": "torchferry.rules/1"'
python3 -c 'import json, sys; rules = json.load(open(sys.argv[1]))["rules"]; assert len(rules) > 20 and all(r["because"] for r in rules)' ../stdout

expect 2 convert in.pth -o out.pth --fix weight_nrom
stderr_is <<'END'
torchferry: error: --fix 'weight_nrom': there is no such rule [TF406]; hint: torchferry convert --list-rules
END
expect 2 convert in.pth -o out.pth --fix devices
stderr_has 'this rule is not turned on by --fix'
expect 2 convert in.pth -o out.pth --without nothing
stderr_has "--without 'nothing': there is no such rule"
expect 2 convert in.pth -o out.pth --amp maybe
expect 2 convert in.pth -o out.pth --static-scale 1
expect 2 convert in.pth -o out.pth --fp32-masters all
[ ! -e out.pth ]

expect 0 convert in.pth -o as_is.pth --without prefixes --without amp
! grep -qE 'TF501|TF502' ../stdout || fail "a rule that was turned off did something"
stdout_has '[TF504]'
expect 0 convert in.pth -o amp.pth --amp keep
! grep -q TF502 ../stdout || fail "amp was converted in spite of --amp keep"
expect 0 convert in.pth -o no_amp.pth --amp drop
stdout_has 'amp: left out: scale 32768.0 [TF523]'
expect 0 convert in.pth -o fixed.pth --fix weight_norm:'model_state.*' --fix flat_weights
! grep -q TF526 ../stdout || fail "there was nothing to fix"

# Details are for -v and reports: the short text does not list twenty parameters.
expect 0 convert in.pth -o named.pth
stdout_has 'optimizer_state: 20 of 20 parameters named by model_state, by order and shape'
[ "$(wc -l <../stdout)" -lt 15 ] || fail "too long"
expect 0 convert in.pth -o named.pth --force -v --report report.json
stdout_has '    19 '
python3 -c 'import json, sys; lines = json.load(open(sys.argv[1]))["files"][0]["remarks"]; assert [len(l["details"]) for l in lines if l["code"] == "TF622"] == [20]' report.json
