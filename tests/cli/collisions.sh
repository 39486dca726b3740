# Two inputs for one output are refused before anything is written.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
mkdir a b
cp "$fixtures/1.4.0/sd_model.pth" a/model.pth
cp "$fixtures/1.12.1/sd_model.pth" b/model.pth
cp b/model.pth b/other.pth

expect 2 convert a/model.pth b/model.pth b/other.pth -o out
stderr_is <<'END'
torchferry: error: 'a/model.pth' and 'b/model.pth' would both be written to 'out/model.pth'; nothing was written [TF405]; hint: convert them into different folders
END
silent
[ ! -e out ]

# Also where a link makes one name of two.
mkdir links
touch links/real.pth
ln -s real.pth links/model.pth
cp a/model.pth a/real.pth
expect 2 convert a/model.pth a/real.pth -o links --force
stderr_has 'would both be written'
[ ! -s links/real.pth ]
rm -r links a/real.pth

# An output that would replace another input.
mkdir a/c
cp b/other.pth a/c/model.pth
expect 2 convert a/c/model.pth b/../a/model.pth -o a --force
stderr_has 'TF405'
ln -s ../b/other.pth a/other.pth
cp b/other.pth a/c/other.pth
expect 2 convert a/c/other.pth b/other.pth -o a --force
stderr_has 'TF405'

# One file that is named twice is one file.
expect 0 convert a/model.pth ./a/model.pth -o out
stdout_has 'a/model.pth → out/model.pth'
cmp a/model.pth "$fixtures/1.4.0/sd_model.pth"
cmp b/other.pth "$fixtures/1.12.1/sd_model.pth"
