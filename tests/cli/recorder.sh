# The recorder comes out as it stands in the sources, and Python runs it.
. "$(dirname "$0")/prelude.bash"

recorder=$TORCHFERRY_SOURCE/scripts/torchferry_recorder.py
expect 0 recorder
cmp "$recorder" ../stdout || fail "what is printed is not the file"

expect 0 recorder -o recorder.py
silent
no_errors
cmp "$recorder" recorder.py || fail "what is written is not the file"
files_are <<<recorder.py

printf 'mine\n' >recorder.py
expect 2 recorder -o recorder.py
stderr_has 'TF403'
[ "$(cat recorder.py)" = mine ] || fail "an existing file was replaced"
expect 0 recorder -o recorder.py --force
cmp "$recorder" recorder.py || fail "--force did not replace it"
expect 2 recorder -o nowhere/recorder.py
stderr_has 'TF402'
expect 2 recorder recorder.py
stderr_has 'torchferry recorder --help'

command -v python3 >/dev/null || skip "no python3"
python3 recorder.py --help >help || fail "python3 does not run it"
for word in --factory --checkpoint --input-spec --export 'exit codes'; do
  grep -qF -- "$word" help || fail "--help does not name $word"
done
[ "$(python3 recorder.py --version)" = "torchferry-recorder 0.1.0" ] || fail "no version"
files_are <<FILES
help
recorder.py
FILES
