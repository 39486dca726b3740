// Where every byte of the written archive goes, decided from values alone.
//
// Order, padding and descriptors are those of torch.save of 2.13, so that torch finds the data also where it
// reads no headers and computes (config.load.calculate_storage_offsets, and always on the meta device).
#include <string>

#include "formats/torch/encode.h"
#include "formats/torch/write.h"
#include "formats/torch/write_records.h"
#include "formats/zip/encode.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

std::vector<std::byte> made(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

// File names may be any bytes; JSON may not.
std::string json_text(std::string_view given) {
  const std::string text = is_utf8(given, false) ? std::string(given) : latin1_to_utf8(given);
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      static constexpr char kHex[] = "0123456789abcdef";
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string provenance_text(const Provenance& provenance, std::uint64_t source_size,
                            std::string_view source_hash) {
  std::string rules;
  for (const std::string& rule : provenance.rules) rules += (rules.empty() ? "" : ", ") + json_text(rule);
  return "{\"schema\": \"torchferry.provenance/1\", \"tool\": \"torchferry\", \"version\": " +
         json_text(provenance.tool_version) + ", \"layout\": " + json_text(provenance.layout) +
         ", \"source\": {\"name\": " + json_text(provenance.source_name) +
         ", \"size\": " + std::to_string(source_size) + ", \"xxh3_128\": \"" + std::string(source_hash) +
         "\"}, \"rules\": [" + rules + "]}\n";
}

ZipPlan plan_zip(const Checkpoint& checkpoint, const Provenance& provenance) {
  ZipPlan plan;
  plan.provenance = provenance;
  const auto add = [&](std::string name) -> PlannedRecord& {
    plan.records.emplace_back();
    plan.records.back().name = std::move(name);
    return plan.records.back();
  };
  EncodedProgram program = encode(checkpoint);
  plan.pickle_size = program.bytes.size();
  plan.records.reserve(program.storage_order.size() + 8);
  add(kPickleRecord).made = std::move(program.bytes);
  add("archive/.format_version").made = made("1");
  add("archive/.storage_alignment").made = made(std::to_string(zip::kDataAlignment));
  add("archive/byteorder").made = made("little");
  for (std::size_t key = 0; key < program.storage_order.size(); ++key) {
    PlannedRecord& record = add("archive/data/" + std::to_string(key));
    record.storage = program.storage_order[key];
    record.size = checkpoint.storages[record.storage].kept_size();
    plan.tensor_bytes += record.size;
  }
  add("archive/version").made = made("3\n");
  add(kIdentityRecord).made = std::vector<std::byte>(kIdentityDigits, std::byte{'0'});
  add(kProvenanceRecord).made =
      made(provenance_text(provenance, checkpoint.source->size(), std::string(32, '0')));

  std::uint64_t offset = 0;
  std::vector<zip::Entry> entries;
  entries.reserve(plan.records.size());
  for (PlannedRecord& record : plan.records) {
    if (record.storage == kNoStorage) record.size = record.made.size();
    record.header_offset = offset;
    record.data_offset = offset + zip::local_header_size(record.name, record.size, offset);
    record.end_offset = record.data_offset + record.size + zip::descriptor_size(record.size, offset);
    offset = record.end_offset;
    entries.push_back({record.name, record.size, 0, record.header_offset});
  }
  plan.directory_offset = offset;
  plan.size = offset + zip::directory_size(entries);
  return plan;
}

}  // namespace ferry::torch
