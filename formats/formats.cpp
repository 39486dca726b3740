#include "formats/formats.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "formats/archived.h"
#include "formats/hdf5/reader.h"
#include "formats/numpy/readers.h"
#include "formats/pt2/reader.h"
#include "formats/safetensors/index.h"
#include "formats/safetensors/reader.h"
#include "formats/sb3/reader.h"
#include "formats/stated.h"
#include "formats/torch/readers.h"
#include "formats/zip/end_record.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry {
namespace {

std::string head_of(const ByteSource& source, std::size_t size) {
  const auto bytes = source.read({0, std::min<std::uint64_t>(size, source.size())});
  return std::string(as_text(Bytes(bytes)));
}

// --- what is no checkpoint, or none that is read yet: the person should hear its name

struct Signature {
  std::size_t offset;
  std::string_view magic;
  Code code;
  std::string_view what;
};

using namespace std::string_view_literals;

constexpr auto kSignatures = std::to_array<Signature>({
    {0, "version https://git-lfs"sv, Code::not_a_checkpoint,
     "this is a git-lfs pointer, not the file itself"},
    {0, "GGUF"sv, Code::not_a_checkpoint, "this is a GGUF model"},
    {0,
     "\x7f"
     "ELF"sv,
     Code::not_a_checkpoint, "this is an ELF program"},
    {0, "\x1f\x8b"sv, Code::not_a_checkpoint, "this is gzip-compressed data"},
    {0,
     "\xfd"
     "7zXZ"sv,
     Code::not_a_checkpoint, "this is xz-compressed data"},
    {0, "x\x9c"sv, Code::not_a_checkpoint, "this is zlib-compressed data"},
    {0, "x\xda"sv, Code::not_a_checkpoint, "this is zlib-compressed data"},
    {0, "x\x5e"sv, Code::not_a_checkpoint, "this is zlib-compressed data"},
    {0, "x\x01"sv, Code::not_a_checkpoint, "this is zlib-compressed data"},
    {0, "\x04\x22\x4d\x18"sv, Code::not_a_checkpoint, "this is LZ4-compressed data"},
    {0, "BZh"sv, Code::not_a_checkpoint, "this is bzip2-compressed data"},
    {0, "7z\xbc\xaf\x27\x1c"sv, Code::not_a_checkpoint, "this is a 7z archive"},
    {0, "Rar!"sv, Code::not_a_checkpoint, "this is a RAR archive"},
    {0, "\x28\xb5\x2f\xfd"sv, Code::not_a_checkpoint, "this is zstd-compressed data"},
    {0, "PYTORCH1"sv, Code::unsupported_container,
     "this is a PyTorch container of before 1.0, which nothing reads any more"},
    {257, "ustar"sv, Code::unsupported_container,
     "this is a tar archive (PyTorch ≤ 0.1.9), which this version does not read"},
    {0, "<!DOCTYPE"sv, Code::not_a_checkpoint, "this is a web page"},
    {0, "<html"sv, Code::not_a_checkpoint, "this is a web page"},
    {0, "{"sv, Code::not_a_checkpoint, "this is JSON or other text"},
});

const Signature* find_signature(const ByteSource& source) {
  const std::string head = head_of(source, 512);
  for (const Signature& row : kSignatures)
    if (head.size() >= row.offset + row.magic.size() &&
        std::string_view(head).substr(row.offset).starts_with(row.magic))
      return &row;
  return nullptr;
}

Likeness probe_other(const ByteSource& source) {
  if (source.size() == 0) return {true, "it is empty"};
  const Signature* found = find_signature(source);
  if (found != nullptr) return {true, std::string(found->what)};
  const std::string head = head_of(source, 512);
  if (std::all_of(head.begin(), head.end(), [](char c) { return c == '\0'; }))
    return {true, "it begins with zeros only"};
  return {false, "no known signature"};
}

// "size 102400" in a git-lfs pointer: the real size of the file.
std::string lfs_size(const std::string& head) {
  const std::size_t at = head.find("\nsize ");
  if (at == std::string::npos) return "";
  std::uint64_t size = 0;
  for (std::size_t i = at + 6;
       i < head.size() && std::isdigit(static_cast<unsigned char>(head[i])) != 0 && size < (1ull << 60); ++i)
    size = size * 10 + static_cast<std::uint64_t>(head[i] - '0');
  return "; the file itself has " + grouped(size) + " bytes";
}

Checkpoint open_other(SourcePtr source, const Limits&) {
  if (source->size() == 0) throw Error(Code::truncated, "the file is empty");
  if (const Signature* found = find_signature(*source)) {
    const bool lfs = found->magic.starts_with("version https");
    throw Error(found->code, std::string(found->what) + (lfs ? lfs_size(head_of(*source, 512)) : ""))
        .with_hint(lfs ? "run git lfs pull in the repository" : std::string(info(found->code).hint));
  }
  throw Error(Code::not_a_checkpoint, "the file begins with zeros only: an interrupted download or copy");
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

constexpr auto kFormats = std::to_array<Format>({
    {"pickle of an archive", torch::looks_like_pickle_of_archive, torch::open_pickle},
    {"npz", numpy::looks_like_npz, numpy::open_npz},
    {"torch.export archive", pt2::looks_like_pt2, pt2::open_pt2},
    {"stable-baselines3 zip", sb3::looks_like_sb3, sb3::open_sb3},
    {"checkpoint in a zip", looks_archived, open_archived},
    {"torch zip", zip::looks_like_zip, torch::open_zip},
    {"legacy stream", probe_legacy, torch::open_legacy},
    {"npy", numpy::looks_like_npy, numpy::open_npy},
    {"hdf5", hdf5::looks_like_hdf5, hdf5::open_hdf5},
    {"safetensors", safetensors::looks_like_safetensors, safetensors::open_safetensors},
    {"safetensors index", safetensors::looks_like_index, open_shards},
    {"something else", probe_other, open_other},
    {"pickle", torch::looks_like_pickle, torch::open_pickle},
});

}  // namespace

std::span<const Format> formats() { return kFormats; }

Checkpoint open_checkpoint(SourcePtr source, const Limits& limits) {
  const std::string name = source->name();
  try {
    std::string reasons;
    for (const Format& format : kFormats) {
      const Likeness probe = format.probe(*source);
      if (probe.matches) {
        Checkpoint checkpoint = format.open(source, limits);
        restore_state(checkpoint);
        return checkpoint;
      }
      reasons += (reasons.empty() ? "" : "; ") + std::string(format.name) + ": " + probe.reason;
    }
    throw Error(Code::unknown_format, "no known format (" + reasons + ")");
  } catch (Error& error) {
    error.of(name);
    throw;
  }
}

}  // namespace ferry
