# What is said of modules that were saved whole.
. "$TORCHFERRY_SOURCE/tests/cli/prelude.bash"
cp "$fixtures/1.12.1/whole_parallel.pth" "$fixtures/1.12.1/whole_containers_legacy.pth" .

expect 0 convert -v whole_parallel.pth -o out.pth
no_errors
stdout_is <<'END'
whole_parallel.pth → out.pth
  torch zip, 3.5 KiB → torch zip, SIZE; 7 tensors; verified
  torch.nn.parallel.data_parallel.DataParallel → its state_dict [TF507]
  module. stripped from 7 keys [TF501]
  remark: a model with one child named 'module' looks the same as a wrapped one; --keep-prefix keeps the prefix [TF603]
  remark: torch.nn.parallel.data_parallel.DataParallel of 4 modules: classes and settings in the report (-v, --report) [TF629]
    DataParallel  training=True, device_ids=[]
      module  Sequential  training=True
        0  Conv1d  training=True, in_channels=1, out_channels=1, kernel_size=(1,), stride=(1,), padding=(0,), dilation=(1,), transposed=False, output_padding=(0,), groups=1, padding_mode='zeros', _reversed_padding_repeated_twice=(0, 0)
        1  BatchNorm1d  training=True, num_features=1, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True
END

# The source that a legacy stream keeps beside a module is shown on request, and never written.
expect 0 inspect whole_containers_legacy.pth
stdout_has "  code        the source of vanished_net.Net, torch.nn.modules.sparse.Embedding, vanished_net.Head and 13 more lies in the file (--code shows it)"
expect 0 inspect --code whole_containers_legacy.pth
stdout_has "source of vanished_net.Head, vanished_net.py"
stdout_has "  class Head:"
expect 0 convert whole_containers_legacy.pth -o net.pth
stdout_has "  remark: net: buffer scratch of vanished_net.Net and 1 more module is no part of state_dict() and is left out [TF609]"
stdout_has "  remark: the source of vanished_net.Net and 15 more classes; inspect --code shows it [TF616]"
