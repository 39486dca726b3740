#include "formats/archived.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "formats/formats.h"
#include "formats/torch/graft.h"
#include "formats/torch/nested.h"
#include "formats/zip/directory.h"
#include "formats/zip/local.h"
#include "formats/zip/member.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry {
namespace {

constexpr auto kSuffixes = std::to_array<std::string_view>(
    {".pth", ".pt", ".ckpt", ".pth.tar", ".th", ".bin", ".pkl", ".pickle", ".model", ".safetensors"});
constexpr std::size_t kNamedMost = 8;

bool is_checkpoint(std::string_view name) {
  // "__MACOSX/._model.pth" is no model.
  const std::string_view base = name.substr(name.rfind('/') + 1);
  if (base.starts_with(".") || name.starts_with("__MACOSX/")) return false;
  return std::any_of(kSuffixes.begin(), kSuffixes.end(), [&](std::string_view suffix) {
    return base.size() > suffix.size() && base.ends_with(suffix);
  });
}

bool belongs_to_others(std::string_view name) {
  const std::string_view base = name.substr(name.rfind('/') + 1);
  return base == "data.pkl" || base == "constants.pkl" || base == "model.json" || base == "archive_format";
}

std::vector<const zip::Record*> members(const zip::Archive& archive) {
  std::vector<const zip::Record*> found;
  for (const zip::Record& record : archive.records())
    if (is_checkpoint(record.name)) found.push_back(&record);
  return found;
}

bool holds_checkpoints(const ByteSource& source) {
  bool found = false, others = false;
  zip::each_name(source, [&](std::string_view name) {
    found = found || is_checkpoint(name);
    others = others || belongs_to_others(name);
    return !others;
  });
  return found && !others;
}

[[noreturn]] void throw_several(const std::vector<const zip::Record*>& found) {
  std::vector<std::string> names;
  for (const zip::Record* record : found) names.push_back(record->name);
  throw Error(Code::unsupported_container, "this is a zip archive of " + counted(names.size(), "checkpoint") +
                                               ": " + listed(names, kNamedMost))
      .with_hint("unpack it and give the folder: every checkpoint in it is converted");
}

}  // namespace

Likeness looks_archived(const ByteSource& source) {
  const Likeness zip = zip::looks_like_zip(source);
  if (!zip.matches) return {false, zip.reason};
  const std::string no = "it is a zip archive without members that are named like checkpoints";
  if (zip::first_record_name(source).ends_with("data.pkl")) return {false, no};
  const bool found = holds_checkpoints(source);
  return {found, found ? "it is a zip archive with members that are named like checkpoints" : no};
}

Checkpoint open_archived(SourcePtr source, const Limits& limits) {
  const zip::Archive archive = zip::Archive::open(source, limits);
  const auto found = members(archive);
  if (found.size() != 1) throw_several(found);
  if (limits.nesting_max == 0) throw Error(Code::limit_exceeded, "archives are nested too deep");
  Limits inner = limits;
  --inner.nesting_max;
  const zip::Record& record = *found[0];
  try {
    const Checkpoint part =
        open_checkpoint(zip::member_source(archive, record, std::make_shared<zip::InflatedSpace>()), inner);
    if (!part.container.checksums) zip::check_stored(archive, record);
    Checkpoint whole;
    whole.source = std::move(source);
    whole.values.set_root(torch::Grafter(whole).add(part));
    torch::note_nested(whole, part.nested);
    whole.container = part.container;
    whole.container.format += " in a zip archive";
    whole.container.checksums = true;
    whole.container.records = {
        {record.name, record.data_offset, record.size, record.stored_size, record.crc}};
    return whole;
  } catch (Error& error) {
    error.in(zip::in_record(record.name));
    throw;
  }
}

}  // namespace ferry
