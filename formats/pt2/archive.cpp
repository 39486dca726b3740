#include "formats/pt2/archive.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::pt2 {
namespace {

constexpr std::uint64_t kSmallRecordMax = 4096;
constexpr std::uint64_t kJsonMax = std::uint64_t{512} << 20;
constexpr std::string_view kFormatRecord = "archive_format", kModels = "models/", kSuffix = ".json";
constexpr std::string_view kOldProgram = "serialized_exported_program.json";

std::string_view without_end_of_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

[[noreturn]] void unsupported(const std::string& what) { throw Error(Code::unsupported_container, what); }

}  // namespace

bool has_old_layout(const zip::Archive& archive) {
  return std::any_of(archive.records().begin(), archive.records().end(), [](const zip::Record& record) {
    return record.name == kOldProgram || record.name.ends_with("/" + std::string(kOldProgram));
  });
}

Records::Records(SourcePtr source, const Limits& limits)
    : archive_(zip::Archive::open(std::move(source), limits)) {
  if (has_old_layout(archive_)) {
    const zip::Record* version = archive_.find("version");
    const std::string schema = version == nullptr ? "" : read_text("version");
    throw Error(Code::unsupported_container,
                "this is a torch.export archive in the layout of torch 2.1 to 2.7" +
                    (schema.empty() ? std::string() : " (schema " + quote(schema, 20) + ")") +
                    ", which this version does not read")
        .with_hint("load it with torch.export.load in torch 2.8 or newer, and save it again");
  }
  find_root();
  if (const std::string format = read_text(kFormatRecord); format != "pt2")
    throw Error(Code::bad_version, "the archive format is " + quote(format, 40) + ", not 'pt2'");
  version_ = read_text("archive_version");
  if (version_ != "0")
    throw Error(Code::bad_version, "version " + quote(version_, 40) + " of torch.export archives is unknown");
  if (find("byteorder") != nullptr) {
    const std::string order = read_text("byteorder");
    if (order != "little" && order != "big")
      throw Error(Code::bad_byte_order, "the byte order is " + quote(order, 40))
          .in(zip::in_record(root_ + "byteorder"));
    big_endian_ = order == "big";
  }
  find_model();
}

const zip::Record* Records::find(std::string_view name) const {
  return archive_.find(root_ + std::string(name));
}

const zip::Record& Records::demand(std::string_view name) const {
  const zip::Record* record = find(name);
  if (record == nullptr)
    throw Error(Code::missing_record, "the archive has no record " + quote(root_ + std::string(name)));
  return *record;
}

std::string Records::read_text(std::string_view name) const {
  const auto bytes = archive_.read(demand(name), kSmallRecordMax);
  return std::string(without_end_of_line(as_text(Bytes(bytes))));
}

json::Value Records::read_json(std::string_view name) const {
  const zip::Record& record = demand(name);
  try {
    const auto bytes = archive_.read(record, kJsonMax);
    json::Rules rules;
    rules.depth_max = 256;  // graphs inside arguments inside graphs
    rules.size_max = kJsonMax;
    rules.broken = Code::bad_pt2;
    return json::parse(as_text(Bytes(bytes)), rules);
  } catch (Error& error) {
    error.in(zip::in_record(record.name));
    throw;
  }
}

void Records::find_root() {
  std::vector<std::string> roots;
  for (const zip::Record& record : archive_.records()) {
    const std::string& name = record.name;
    if (name != kFormatRecord && !name.ends_with("/" + std::string(kFormatRecord))) continue;
    const std::string root = name.substr(0, name.size() - kFormatRecord.size());
    if (archive_.find(name) != nullptr && std::count(root.begin(), root.end(), '/') <= 1)
      roots.push_back(root);
  }
  if (roots.empty()) throw Error(Code::missing_record, "the archive has no archive_format record");
  if (roots.size() > 1)
    throw Error(Code::duplicate_record, "the archive has more than one archive_format record");
  root_ = roots.front();
}

void Records::find_model() {
  const std::string folder = root_ + std::string(kModels);
  std::vector<std::string> models;
  for (const zip::Record& record : archive_.records()) {
    const std::string& name = record.name;
    if (!name.starts_with(folder) || !name.ends_with(kSuffix)) continue;
    const std::string model = name.substr(folder.size(), name.size() - folder.size() - kSuffix.size());
    if (!model.empty() && model.find('/') == std::string::npos && archive_.find(name) != nullptr)
      models.push_back(model);
  }
  if (models.empty()) {
    const bool compiled = std::any_of(
        archive_.records().begin(), archive_.records().end(),
        [&](const zip::Record& record) { return record.name.starts_with(root_ + "data/aotinductor/"); });
    unsupported(compiled ? "the archive holds a compiled model (AOTInductor) and no graph"
                         : "the archive holds no exported program (models/*.json)");
  }
  if (models.size() > 1)
    unsupported("the archive holds " + std::to_string(models.size()) + " models; only one can be read");
  model_ = models.front();
}

}  // namespace ferry::pt2
