# What is no checkpoint is named, with what to do about it.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"

is() {  # is FILE TEXT: convert refuses FILE in these words
  expect 2 convert "$1" -o out.pth
  stderr_has "$2"
  silent
}

printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 406234567\n' >pointer.pth
expect 2 convert pointer.pth -o out.pth
stderr_is <<'END'
torchferry: error: pointer.pth: this is a git-lfs pointer, not the file itself; the file itself has 406,234,567 bytes [TF102]; hint: run git lfs pull in the repository
END
printf '<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title>' >page.pth
expect 2 inspect page.pth
stderr_is <<'END'
torchferry: error: page.pth: this is a web page with the title 'Google Drive - Virus scan warning' [TF102]; hint: the download was answered with a page: log in, or use the link to the raw file
END
printf 'Entry not found' >missing.pth
is missing.pth "this is text: it begins with 'Entry not found'"
printf '{"error": "gated"}' >gated.pth
is gated.pth 'this is JSON'
gzip -c "$fixtures/1.4.0/sd_model.pth" >packed.pth
is packed.pth 'gunzip it first'
: >empty.pth
is empty.pth 'the file is empty'
head -c 100000 /dev/zero >zeros.pth
is zeros.pth 'all of its 100,000 bytes are zeros'
printf 'GGUF\3\0\0\0' >model.gguf
is model.gguf 'this is a GGUF model'

# Archives of checkpoints are no checkpoints.
cp "$fixtures/1.4.0/sd_model.pth" a.pth
tar -cf many.tar a.pth page.pth
is many.tar "this is a tar archive of other files, not a checkpoint: it holds 'a.pth', 'page.pth'"
stderr_has 'unpack it with tar -xf'
expect 0 convert a.pth -o out.pth
