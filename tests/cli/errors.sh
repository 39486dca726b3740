# Trouble with input and output: one clear message, exit 2, and everything as it was.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.4.0/sd_model.pth" in.pth

expect 2 convert missing.pth -o out.pth
stderr_is <<'END'
torchferry: error: missing.pth: cannot open the file: No such file or directory [TF401]
END
silent

mkdir folder
expect 2 convert folder/ -o out
stderr_is <<'END'
torchferry: error: folder/: no file with the name of a checkpoint was found [TF410]; hint: --files '*' looks at every file, whatever its name
END

mkdir -p way/in.pth
expect 2 convert in.pth -o way/
stderr_is <<'END'
torchferry: error: way/in.pth: cannot write the file: a directory is in the way [TF402]; hint: name a file, or remove the directory
END

expect 2 convert in.pth -o no/such/out.pth
stderr_is <<'END'
torchferry: error: no/such/out.pth: cannot create the file: the folder 'no/such' does not exist [TF402]; hint: mkdir -p 'no/such'
END

expect 2 convert in.pth -o in.pth/out.pth
stderr_is <<'END'
torchferry: error: in.pth/out.pth: cannot create the file: the folder 'in.pth' is no folder [TF402]
END

expect 2 convert in.pth missing.pth -o in.pth
stderr_is <<'END'
torchferry: error: in.pth: the output must be a folder, for there are several inputs, and it is a file [TF402]
END

expect 2 convert in.pth -o /dev/null --force
stderr_is <<'END'
torchferry: error: /dev/null: cannot write the file: the destination is a device, a pipe or a socket [TF402]
END

mkfifo pipe.pth
expect 2 convert pipe.pth -o out.pth
stderr_is <<'END'
torchferry: error: pipe.pth: cannot read the file: it is no regular file [TF401]
END
rm pipe.pth

expect 2 convert /dev/zero -o out.pth
stderr_has 'it is no regular file'

printf 'no checkpoint' >text.pth
expect 2 convert text.pth -o out.pth
rm text.pth

# Nothing that a file name holds reaches the terminal as it is.
expect 2 convert $'a\e[31m\n.pth' -o out.pth
stderr_is <<'END'
torchferry: error: a\x1b[31m\n.pth: cannot open the file: No such file or directory [TF401]
END

files_are <<'END'
in.pth
END
cmp in.pth "$fixtures/1.4.0/sd_model.pth"
