# --select, --rename, --include and --exclude reach the rules, in the words that they use.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.4.0/ffb6d_o1.pth.tar" in.pth

expect 0 convert in.pth -o part.pth --select model_state
stdout_has '[TF513]'
expect 2 convert in.pth -o none.pth --select no.such.part
stderr_has '[TF409]'
[ ! -e none.pth ]

expect 0 convert in.pth -o renamed.pth --rename 'cnn_(.*)=rgb_$1'
stdout_has '[TF514]'
expect 0 convert in.pth -o fewer.pth --exclude 'optimizer*' --exclude '*.bias'
stdout_has '[TF515]'
[ "$(stat -c %s fewer.pth)" -lt "$(stat -c %s renamed.pth)" ]
expect 0 convert in.pth -o less.pth --include 'model_state.*'
expect 0 convert in.pth -o kept.pth --keep-prefix
! grep -q TF501 ../stdout || fail "a prefix was stripped in spite of --keep-prefix"
