#include "formats/formats.h"

#include <array>

#include "formats/archived.h"
#include "formats/diagnosis.h"
#include "formats/hdf5/reader.h"
#include "formats/numpy/readers.h"
#include "formats/pt2/reader.h"
#include "formats/safetensors/index.h"
#include "formats/safetensors/reader.h"
#include "formats/salvage.h"
#include "formats/sb3/reader.h"
#include "formats/stated.h"
#include "formats/tar/archive.h"
#include "formats/torch/readers.h"
#include "formats/torchscript/reader.h"
#include "formats/zip/end_record.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry {
namespace {

// --- what is no checkpoint

Likeness probe_other(const ByteSource& source) {
  if (const auto found = diagnose(source)) return {true, found->what};
  return {false, "no known signature"};
}

Checkpoint open_other(SourcePtr source, const Limits&) {
  const Diagnosis found = diagnose(*source).value_or(Diagnosis{});
  throw Error(found.code, found.what).with_hint(found.hint);
}

// --- torch's own

Likeness probe_legacy(const ByteSource& source) {
  if (torch::starts_like_legacy(source)) return {true, "the first pickle is torch's magic number"};
  return {false, "the first pickle is not torch's magic number"};
}

// --- named tensors of other libraries

// Shards are checkpoints of any format but indices: no index leads to another.
Checkpoint open_shards(SourcePtr source, const Limits& limits) {
  return safetensors::open_index(std::move(source), limits, [&](const std::string& path) {
    SourcePtr shard = open_file(path);
    if (safetensors::looks_like_index(*shard).matches)
      throw Error(Code::bad_json, "an index names another index as a shard").of(path);
    return open_checkpoint(std::move(shard), limits);
  });
}

// --- pickles without a container

// Any bytes that start like a pickle could be one, so a name that promises something else is believed:
// whoever opens a .npz must not be given what a pickle makes.
Checkpoint open_bare_pickle(SourcePtr source, const Limits& limits) {
  static constexpr std::string_view kOthers[] = {".h5", ".hdf5", ".npz", ".npy", ".safetensors"};
  for (const std::string_view suffix : kOthers)
    if (source->name().ends_with(suffix))
      throw Error(Code::not_a_checkpoint,
                  "its name ends in " + std::string(suffix) + ", but it starts like a plain pickle")
          .with_hint("rename it to .pkl if that is what it should be");
  return torch::open_pickle(std::move(source), limits);
}

constexpr auto kFormats = std::to_array<Format>({
    {"pickle of an archive", torch::looks_like_pickle_of_archive, torch::open_pickle},
    {"npz", numpy::looks_like_npz, numpy::open_npz},
    {"torch.export archive", pt2::looks_like_pt2, pt2::open_pt2},
    {"TorchScript archive", torchscript::looks_like_torchscript, torchscript::open_torchscript},
    {"stable-baselines3 zip", sb3::looks_like_sb3, sb3::open_sb3},
    {"checkpoint in a zip", looks_archived, open_archived},
    {"torch zip", zip::looks_like_zip, torch::open_zip, torch::salvage_zip},
    {"legacy stream", probe_legacy, torch::open_legacy, torch::salvage_legacy},
    {"legacy tar", tar::looks_like_tar, torch::open_tar, torch::salvage_tar},
    {"npy", numpy::looks_like_npy, numpy::open_npy},
    {"hdf5", hdf5::looks_like_hdf5, hdf5::open_hdf5},
    {"safetensors", safetensors::looks_like_safetensors, safetensors::open_safetensors},
    {"safetensors index", safetensors::looks_like_index, open_shards},
    {"something else", probe_other, open_other},
    {"pickle", torch::looks_like_pickle, open_bare_pickle},
});

}  // namespace

std::span<const Format> formats() { return kFormats; }

Checkpoint open_checkpoint(SourcePtr source, const Limits& limits, state::Fit fit) {
  const std::string name = source->name();
  try {
    std::string reasons;
    for (const Format& format : kFormats) {
      const Likeness probe = format.probe(*source);
      if (probe.matches) {
        Checkpoint checkpoint = format.open(source, limits);
        restore_state(checkpoint, fit);
        checkpoint.forget_unreachable();
        if (!limits.list_records) checkpoint.container.records = std::vector<RecordInfo>();
        return checkpoint;
      }
      reasons += (reasons.empty() ? "" : "; ") + std::string(format.name) + ": " + probe.reason;
    }
    throw Error(Code::unknown_format, "no known format (" + reasons + ")");
  } catch (Error& error) {
    error.of(name);
    explain_damage(source, limits, error);
    throw;
  }
}

}  // namespace ferry
