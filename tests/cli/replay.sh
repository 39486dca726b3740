# torchferry replay: usage, a helper that is missing, and one that dies in every way it can.
. "$(dirname "$0")/prelude.bash"

model=$fixtures/pt2/counter.pt2
golden=$fixtures/containers/state.npz

expect 2 replay "$model"

# The helper is looked for beside the program, or where the variable says.
TORCHFERRY_REPLAY=/nonexistent expect 2 replay "$model" --golden "$golden" -o out.npz
stderr_has 'models are run by a program of its own'
stderr_has TF412

# Runs have names and cases have numbers; both may be several.
TORCHFERRY_REPLAY=/nonexistent expect 2 replay "$model" --golden "$golden" -o out.npz --run f32,f64 --case 0,2
stderr_has TF412
expect 2 replay "$model" --golden "$golden" -o out.npz --case first
stderr_has TF406

# fake CODE SCRIPT: replay must end with CODE when the script is its helper.
fake() {
  printf '#!/bin/sh\nread line\n%s\n' "$2" >fake
  chmod +x fake
  TORCHFERRY_REPLAY=$PWD/fake expect "$1" replay "$model" --golden "$golden" -o out.npz
}

fake 2 'kill -SEGV $$'
stderr_has 'signal 11'
stderr_has TF414

fake 2 'exit 0'
stderr_has 'ended early'

fake 2 "echo '{\"event\":\"error\",\"code\":\"TF415\",\"what\":\"no fit\",\"where\":\"in x\",\"file\":\"w.pth\",\"hint\":\"\"}'; exit 2"
stderr_has 'w.pth: no fit; in x'
stderr_has TF415

fake 2 'echo nonsense'

# What it complains of on the way, also much of it, does not stop anything; a run that failed is exit 2.
fake 0 'i=0; while [ $i -lt 3000 ]; do echo "a warning that is fairly long, so that the pipe fills" >&2; i=$((i+1)); done
echo "{\"event\":\"started\",\"torch\":\"9.9\",\"device\":\"cpu\"}"
echo "{\"event\":\"run\",\"case\":0,\"run\":\"f32\",\"seconds\":0.5}"
echo "{\"event\":\"done\"}"'
stdout_has 'case 0  f32  done'
stdout_has 'torch 9.9'

fake 2 'echo "{\"event\":\"run\",\"case\":0,\"run\":\"f32\",\"error\":\"bad\"}"; echo "{\"event\":\"done\"}"'
stdout_has 'failed: bad'
