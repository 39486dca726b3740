# The tables that inspect prints on request.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.12.1/views_shared.pt" "$fixtures/1.12.1/missing_enum.pth" .
cp "$fixtures/hand-made/zip_deflated.pth" "$fixtures/hand-made/zip_big_endian.pth" .

expect 0 inspect --tensors --offsets --stats --check views_shared.pt
no_errors
stdout_is <<'END'
views_shared.pt  torch zip, 1.8 KiB
  written by  PyTorch 1.9 – 2.0, most likely 1.9 – 1.12, Python 3
              it has no byteorder record (until 2.0)
              storages are numbered from 0 (1.9 and later)
              the folder in the archive is named 'archive' (until 1.12, later when saved to a stream)
  holds       OrderedDict  9 tensors, 114 parameters, 456 B float32
              in 2 storages of 496 B; 8 tensors share a storage with others

  base     float32      [4, 6]  96 B, shared
  t        float32      [6, 4]  96 B, strides [1, 6], shares 'base'
  row      float32      [6]  24 B, shares 'base'
  col      float32      [4]  16 B, strides [6], shares 'base'
  step     float32      [2, 2]  16 B, strides [12, 3], shares 'base'
  expand   float32      [3, 4]  48 B, strides [0, 0], shares 'base'
  overlap  float32      [3, 4]  48 B, strides [1, 1], shares 'base'
  flat     float32      [24]  96 B, shares 'base'
  tail     float32      [4]  16 B

tensors
  tensor   dtype    shape   strides  storage  offset  bytes  shared with
  base     float32  [4, 6]           0             0     96  (first)
  t        float32  [6, 4]  [1, 6]   0             0     96  base
  row      float32  [6]              0             6     24  base
  col      float32  [4]     [6]      0             2     16  base
  step     float32  [2, 2]  [12, 3]  0             0     16  base
  expand   float32  [3, 4]  [0, 0]   0             0     48  base
  overlap  float32  [3, 4]  [1, 1]   0             0     48  base
  flat     float32  [24]             0             0     96  base
  tail     float32  [4]              1            96     16

records
  record            offset  size  crc-32
  archive/data.pkl    0x40   627  89d1f10b
  archive/data/0     0x300    96  6edc4182
  archive/data/1     0x3c0   400  2b17c258
  archive/version    0x5c0     2  55679ed1

storages
  storage  dtype    elements  device  offset  size  crc-32
  0        float32        24  cpu      0x300    96  6edc4182
  1        float32       100  cpu      0x3c0   400  2b17c258

statistics
  tensor   dtype    min  max  mean    std  zeros
  base     float32    0   23  11.5  6.922      1
  t        float32    0   23  11.5  6.922      1
  row      float32    6   11   8.5  1.708
  col      float32    2   20    11  6.708
  step     float32    0   15   7.5  6.185      1
  expand   float32    0    0     0      0     12
  overlap  float32    0    5   2.5  1.384      1
  flat     float32    0   23  11.5  6.922      1
  tail     float32   96   99  97.5  1.118

check
              4 records, 1.1 KiB read: every checksum is right

  PyTorch 2.x loads it with torch.load(…, weights_only=True)
              mmap=True: yes
  convert     384 B that no tensor refers to left out of 1 storage
END

expect 0 inspect --globals missing_enum.pth
stdout_has "vanished_mod.Phase               called  foreign     refuses"
stdout_has "torch.FloatStorage               named   allowed     accepts"

# Compressed and big-endian data give the same numbers.
expect 0 inspect --stats zip_deflated.pth
sed -n '/^statistics/,/^$/p' ../stdout >../deflated
stdout_has "mmap=True: no, 11 storages are compressed"
expect 0 inspect --stats zip_big_endian.pth
sed -n '/^statistics/,/^$/p' ../stdout >../big_endian
diff -u ../deflated ../big_endian || fail "statistics differ"
