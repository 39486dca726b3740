# Folders, patterns and several files: mirrored names, what is skipped, what fails, and the worst exit code.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
mkdir -p runs/a/deep runs/b
cp "$fixtures/1.4.0/sd_model.pth" runs/a/model.pth
cp "$fixtures/1.4.0/ffb6d_o1.pth.tar" runs/a/deep/best.pth.tar
cp "$fixtures/1.12.1/sd_model.pth" runs/b/model.pth
echo 'just text' >runs/b/notes.txt
printf '<!DOCTYPE html>' >runs/b/login.bin
ln -s ../a runs/b/loop
ln -s . runs/self

expect 0 convert runs -o out
stdout_is <<'END'
converted  runs/a/model.pth → out/a/model.pth  2.1 KiB → SIZE  0 changes
converted  runs/a/deep/best.pth.tar → out/a/deep/best.pth.tar  14.8 KiB → SIZE  5 changes
skipped    runs/b/login.bin: this is a web page [TF102]
converted  runs/b/model.pth → out/b/model.pth  3.6 KiB → SIZE  0 changes
4 files
  converted        3   20.5 KiB → SIZE
  skipped          1   no checkpoints
END
no_errors
(cd out && files_are <<'END'
a/deep/best.pth.tar
a/model.pth
b/model.pth
END
)

# A folder without any checkpoint is no success.
mkdir pages
cp runs/b/login.bin pages
expect 2 convert pages -o nowhere
stdout_is <<'END'
skipped    pages/login.bin: this is a web page [TF102]
END
stderr_is <<'END'
torchferry: error: pages: none of the files that were found is a checkpoint [TF410]
END
[ ! -e nowhere ]

# A file that is named counts, whatever it is.
expect 2 convert runs/b/login.bin runs/a/model.pth -o named
stderr_has 'runs/b/login.bin: this is a web page'
[ -e named/model.pth ]

# A file that fails does not stop the rest; refused outranks failed.
cp "$fixtures/hand-made/truncated_zip.pth" runs/b/cut.pth
expect 2 convert runs -o out --force
stderr_has 'runs/b/cut.pth: '
stdout_has '  failed           1'
cp "$fixtures/hand-made/gadget_called.pth" runs/a/bad.pth
expect 3 convert runs -o out --force
stdout_has '  refused          1   unsafe: nothing was written for them'
[ ! -e out/a/bad.pth ] && [ ! -e out/b/cut.pth ]
rm runs/a/bad.pth runs/b/cut.pth runs/b/login.bin

# Existing outputs fail one by one, and stay.
rm out/b/model.pth
expect 2 convert runs -o out
stderr_has 'out/a/model.pth: the destination exists already [TF403]'
[ -e out/b/model.pth ]

# An output folder inside the source is no source.
expect 0 convert runs -o runs/out
expect 0 convert runs -o runs/out --force
[ ! -e runs/out/out ]
rm -r runs/out

# In place, when forced.
cp -r runs place
expect 2 convert place -o place
stderr_has 'the output is the input file itself [TF404]'
cmp place/a/model.pth runs/a/model.pth
expect 0 convert place -o place --force
cmp place/a/model.pth out/a/model.pth

# Patterns: the place below the part without wildcards; of several folders each keeps its name.
expect 0 convert 'runs/*/model.pth' -o pattern
expect 0 convert 'runs/**/*.tar' -o depth
expect 0 convert runs/a runs/b -o several
expect 0 convert runs -o files --files 'best*'
expect 0 convert runs -o skip --skip 'a/*'
(cd .. && find work/pattern work/depth work/several work/files work/skip -type f | sort) | diff -u - <(cat <<'END'
work/depth/a/deep/best.pth.tar
work/files/a/deep/best.pth.tar
work/pattern/a/model.pth
work/pattern/b/model.pth
work/several/a/deep/best.pth.tar
work/several/a/model.pth
work/several/b/model.pth
work/skip/b/model.pth
END
)
expect 2 convert 'runs/*/none.pth' -o none
stderr_is <<'END'
torchferry: error: runs/*/none.pth: cannot open the file: No such file or directory [TF401]
END
[ ! -e none ]

# A link that leads nowhere is found and told.
ln -s gone.pth runs/latest.pth
expect 2 convert runs -o links
stderr_is <<'END'
torchferry: error: runs/latest.pth: cannot open the file: No such file or directory [TF401]
END

# Brackets in names are names.
mkdir '[x]' && cp runs/a/model.pth '[x]/[1].pth'
expect 0 convert '[x]' -o brackets
expect 0 convert '[x]/[1].pth' -o '[out]'
[ -e 'brackets/[1].pth' ] && [ -f '[out]' ]
