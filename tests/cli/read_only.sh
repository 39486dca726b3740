# A folder that cannot be written to.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.4.0/sd_model.pth" in.pth
mkdir folder
echo old >folder/out.pth
if [ "$(id -u)" != 0 ]; then
  chmod 555 folder
  trap 'chmod 755 folder' EXIT
  why='Permission denied'
elif mount --bind folder folder 2>/dev/null && mount -o remount,bind,ro folder 2>/dev/null; then
  trap 'umount folder' EXIT
  why='Read-only file system'
else
  mountpoint -q folder && umount folder
  skip "root can write everywhere here"
fi

for name in new.pth out.pth; do
  expect 2 convert in.pth -o folder/$name --force
  echo "torchferry: error: folder/$name: cannot create a file in 'folder': $why [TF402]" | stderr_is
done
files_are <<'END'
folder/out.pth
in.pth
END
[ "$(cat folder/out.pth)" = old ]
