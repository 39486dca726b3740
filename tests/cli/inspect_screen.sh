# The screen of inspect, to the letter.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.1.0/tied_weights.pth" "$fixtures/1.12.1/collections_objects.pth" .

expect 0 inspect tied_weights.pth collections_objects.pth
no_errors
stdout_is <<'END'
tied_weights.pth  legacy stream, 654 B
  written by  PyTorch 0.4 or later, most likely 0.4 – 1.5, Python 3
              it is a legacy stream: the form until 1.5, later only with _use_new_zipfile_serialization=False
              tensors are rebuilt by _rebuild_tensor_v2 (0.4 and later)
  holds       OrderedDict  4 tensors, 16 parameters, 64 B float32
              in 2 storages of 32 B; 4 tensors share a storage with others

  embed.                 1 tensor, 6 parameters, 24 B float32
    weight  float32      [2, 3]  24 B, shared
  decoder.               1 tensor, 6 parameters, 24 B float32
    weight  float32      [2, 3]  24 B, shares 'embed.weight'
  same      float32      [2]  8 B, Parameter, shared
  same2     float32      [2]  8 B, Parameter, shares 'same'

  PyTorch 2.x loads it with torch.load(…, weights_only=True)
              mmap=True: no, only zip archives of torch.save can be mapped; the format is legacy stream
  convert     would change nothing but the container
              note: a legacy stream carries no checksums: a flipped bit in a weight cannot be seen

collections_objects.pth  torch zip, 1.3 KiB
  written by  PyTorch 1.9 – 2.0, most likely 1.9 – 1.12, Python 3
              it has no byteorder record (until 2.0)
              storages are numbered from 0 (1.9 and later)
              the folder in the archive is named 'archive' (until 1.12, later when saved to a stream)
  holds       dict  1 tensor, 1 parameter, 4 B float32
              in 1 storage of 4 B

  dd         dict         {a: [1]}
  counter    Counter      {a: 2, b: 1}
  deque      list         [1, 2]
  set        set          {1, 2}
  frozenset  frozenset    {3}
  point      tuple        1 tensor, 1 parameter, 4 B float32
    0        int          1
    1        float32      [1]  4 B
  slice      list         [1, 2, None]
  range      list         [0, 3, 1]
  bytes      bytes        2 bytes
  bytearray  bytearray    2 bytes
  ordered    OrderedDict  {b: 1, a: 2}

  PyTorch 2.x refuses it with torch.load(…, weights_only=True):
              Unsupported global: GLOBAL collections.defaultdict was not an allowed global by default
              and after that: builtins.list, collections.deque, builtins.frozenset, vanished_mod.Point, builtins.slice, builtins.range
              mmap=True: yes
  convert     dd: collections.defaultdict → dict (its default factory was __builtin__.list)
              deque: collections.deque → list
              point: vanished_mod.Point → tuple
              slice: builtins.slice → list of its 3 numbers
              range: builtins.range → list of its 3 numbers
              note: weights_only of PyTorch 2.0 and 2.1 does not know Counter, bytearray, bytes, set; later releases do
END
