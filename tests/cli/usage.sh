# The command line itself: usage errors end with 2 and say what may have been meant.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"

expect 0 --version
grep -qE '^torchferry [0-9]+\.[0-9]+\.[0-9]+ [+-]isal \+zlib \((g\+\+|clang) [0-9.]+\)$' ../stdout || fail "version"
expect 0 --help
for verb in inspect convert explain; do stdout_has "$verb"; done
expect 0 convert --help
stdout_has --dry-run
no_errors

expect 2
stderr_is <<'END'
torchferry: error: a verb is missing [TF406]; hint: torchferry --help lists the verbs
END
expect 2 conver a -o b
stderr_is <<'END'
torchferry: error: there is no verb 'conver' [TF406]; hint: did you mean torchferry convert?
END
expect 2 frobnicate
stderr_is <<'END'
torchferry: error: there is no verb 'frobnicate' [TF406]; hint: torchferry --help lists the verbs
END
expect 2 convert a -o b --forse
stderr_is <<'END'
torchferry: error: The following argument was not expected: --forse [TF406]; hint: did you mean --force?
END
expect 2 convert a
stderr_is <<'END'
torchferry: error: --output is required [TF406]; hint: torchferry convert --help
END
expect 2 convert a -o ''
expect 2 convert a -o b --layout other
stderr_is <<'END'
torchferry: error: --layout: other not in {keep,clean} [TF406]; hint: torchferry convert --help
END
expect 2 convert a -o b --jobs 0
expect 2 convert a -o b --jobs many
expect 2 convert a -o b --rename nothing
stderr_is <<'END'
torchferry: error: --rename 'nothing': this is not of the form 're=sub' [TF406]; hint: --rename '^model\.(.*)=$1'
END
expect 2 convert a -o b --rename '(=x'
stderr_has 'the regular expression is not valid'
expect 2 convert --color sometimes a -o b

expect 0 explain tf501 301
stdout_is <<'END'
TF501  prefix stripped (a change, no error)

  Every key of a state_dict carried a wrapper's prefix (DataParallel, torch.compile, FSDP); it was taken off.

  hint: --keep-prefix keeps it

TF301  unsafe global (refused for safety, exit code 3)

  The pickle names code that has no place in a checkpoint; loading it with Python could run anything. Nothing was written.

  hint: do not load this file with weights_only=False
END
expect 0 explain
stdout_has 'TF101  unknown format'
expect 0 explain TF103 --json
stdout_has '"schema": "torchferry.explain/1"'
expect 2 explain TF999
stderr_is <<'END'
torchferry: error: there is no code and no known change 'TF999' [TF406]; hint: torchferry explain lists all codes, torchferry explain --known-changes all changes
END

# A name that begins with a dash, after --.
cp "$fixtures/1.4.0/sd_model.pth" ./-x.pth
expect 0 convert -o out.pth -- -x.pth
expect 0 convert ./-x.pth -o=other.pth
expect 0 convert ./-x.pth --output=third.pth
cmp out.pth third.pth
