# What is there already stays, unless --force replaces it; links are written through; modes are kept.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.4.0/sd_model.pth" in.pth
echo old >out.pth

expect 2 convert in.pth -o out.pth
stderr_is <<'END'
torchferry: error: out.pth: the destination exists already [TF403]; hint: give --force to replace it
END
[ "$(cat out.pth)" = old ]

chmod 600 out.pth
expect 0 convert in.pth -o out.pth --force
no_errors
[ "$(stat -c %a out.pth)" = 600 ]
cp out.pth converted

# A link to a file stays a link; a link that leads nowhere is an error.
echo old >target.pth
ln -s target.pth link.pth
expect 2 convert in.pth -o link.pth
stderr_has 'link.pth: the destination exists already [TF403]'
expect 0 convert in.pth -o link.pth --force
[ -L link.pth ]
cmp target.pth converted
ln -s nowhere dangling.pth
expect 2 convert in.pth -o dangling.pth --force
stderr_is <<'END'
torchferry: error: dangling.pth: the destination is a symbolic link that leads nowhere [TF402]; hint: remove the link, or name the file that it should lead to
END

# The input itself, under its own name and under others.
ln in.pth hard.pth
ln -s in.pth soft.pth
for name in in.pth ./in.pth hard.pth soft.pth; do
  expect 2 convert in.pth -o $name
  stderr_is <<'END'
torchferry: error: in.pth: the output is the input file itself [TF404]; hint: give --force to replace it by its conversion
END
done
expect 2 convert in.pth -o .
cmp in.pth "$fixtures/1.4.0/sd_model.pth"
expect 0 convert in.pth -o in.pth --force
cmp in.pth converted
cmp hard.pth "$fixtures/1.4.0/sd_model.pth"

# A private input gives a private output.
umask 022
chmod 600 in.pth
expect 0 convert in.pth -o private.pth
[ "$(stat -c %a private.pth)" = 600 ]
chmod 644 in.pth
expect 0 convert in.pth -o public.pth
[ "$(stat -c %a public.pth)" = 644 ]

files_are <<'END'
converted
dangling.pth
hard.pth
in.pth
link.pth
out.pth
private.pth
public.pth
soft.pth
target.pth
END
