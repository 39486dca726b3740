# A full disk: known before anything is written, one clear message, the destination as it was.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
[ "$(id -u)" = 0 ] || skip "mounting needs root"
mkdir disk
mount -t tmpfs -o size=2m tmpfs disk 2>/dev/null || skip "no tmpfs can be mounted here"
trap 'umount disk' EXIT
make_large in.pth 4
echo old >disk/out.pth

expect 2 convert in.pth -o disk/out.pth --force
stderr_is <<'END'
torchferry: error: disk/out.pth: the disk is full: 4.0 MiB are needed, 2.0 MiB are free [TF402]
END
expect 2 convert in.pth -o disk/new.pth
stderr_has 'the disk is full'
(cd disk && files_are <<'END'
out.pth
END
)
[ "$(cat disk/out.pth)" = old ]

# Of many files those that fit are written.
mkdir many
cp "$fixtures/1.4.0/sd_model.pth" many/a.pth
cp in.pth many/b.pth
expect 2 convert many -o disk/many
stdout_has 'converted  many/a.pth'
(cd disk/many && files_are <<'END'
a.pth
END
)
