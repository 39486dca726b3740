// The archive that PyTorch 2.x writes: where every byte goes is decided from values alone.
//
// Order, padding and descriptors are those of torch.save of 2.13, so that torch finds the data also where it
// reads no headers and computes (config.load.calculate_storage_offsets, and always on the meta device).
#include <string>

#include "formats/torch/encode.h"
#include "formats/torch/write.h"
#include "formats/zip/archive.h"
#include "formats/zip/crc32.h"
#include "formats/zip/encode.h"
#include "src/core/limits.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr const char* kPickleRecord = "archive/data.pkl";
// 40 decimal digits that torch shows as the identity of a file; made of the content here, so that equal
// content has equal identity (torch/csrc: PyTorchStreamWriter::writeSerializationId hashes names and CRCs
// likewise).
constexpr const char* kIdentityRecord = "archive/.data/serialization_id";
constexpr std::size_t kIdentityDigits = 40;
// Which source this file was made from; torch ignores records that no storage names.
constexpr const char* kProvenanceRecord = "archive/.data/torchferry.json";

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

std::string provenance_text(const Provenance& provenance, std::string_view source_hash) {
  const auto list = [](const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + json_text(text);
    return "[" + all + "]";
  };
  return "{\"schema\": \"torchferry.provenance/1\", \"tool\": \"torchferry\", \"version\": " +
         json_text(provenance.tool_version) + ", \"layout\": " + json_text(provenance.layout) +
         ", \"source\": {\"name\": " + json_text(provenance.source_name) +
         ", \"size\": " + std::to_string(provenance.source_size) + ", \"xxh3_128\": \"" +
         std::string(source_hash) + "\"}, \"rules\": " + list(provenance.rules) +
         (provenance.options.empty() ? "" : ", \"options\": " + list(provenance.options)) + "}\n";
}

ZipFile::ZipFile(const Checkpoint& checkpoint, Provenance provenance) : provenance_(std::move(provenance)) {
  const auto add = [&](std::string name) -> copy::Record& {
    plan_.records.emplace_back();
    plan_.records.back().name = std::move(name);
    return plan_.records.back();
  };
  EncodedProgram program = encode(checkpoint, Dialect::zip);
  plan_.records.reserve(program.storage_order.size() + 8);
  add(kPickleRecord).made = std::move(program.bytes);
  add("archive/.format_version").made = made("1");
  add("archive/.storage_alignment").made = made(std::to_string(zip::kDataAlignment));
  add("archive/byteorder").made = made("little");
  for (std::size_t key = 0; key < program.storage_order.size(); ++key) {
    copy::Record& record = add("archive/data/" + std::to_string(key));
    record.storage = program.storage_order[key];
    record.size = checkpoint.storages[record.storage].kept_size();
    tensor_bytes_ += record.size;
  }
  add("archive/version").made = made("3\n");
  add(kIdentityRecord).made = std::vector<std::byte>(kIdentityDigits, std::byte{'0'});
  add(kProvenanceRecord).made = made(provenance_text(provenance_, std::string(32, '0')));

  std::uint64_t offset = 0;
  std::vector<zip::Entry> entries;
  entries.reserve(plan_.records.size());
  for (copy::Record& record : plan_.records) {
    if (record.storage == kNoStorage) record.size = record.made.size();
    record.begin = offset;
    record.data_offset = offset + zip::local_header_size(record.name, record.size, offset);
    record.end = record.data_offset + record.size + zip::descriptor_size(record.size, offset);
    offset = record.end;
    entries.push_back({record.name, record.size, 0, record.begin});
  }
  directory_offset_ = offset;
  plan_.size = offset + zip::directory_size(entries);
}

// --- What depends on what was copied

namespace {
zip::Entry entry(const copy::Record& record, std::uint32_t crc) {
  return {record.name, record.size, crc, record.begin};
}
}  // namespace

void ZipFile::put_before(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const {
  zip::put_local_header(entry(plan_.records[i], crc), out);
}
void ZipFile::put_after(std::size_t i, std::uint32_t crc, std::span<std::byte> out) const {
  zip::put_descriptor(entry(plan_.records[i], crc), out);
}

// The identity and the provenance are known only when all else is.
void ZipFile::finish(FileSink& sink, std::vector<std::uint32_t>& crcs, std::string_view source_hash) const {
  const std::size_t count = plan_.records.size();
  write_late(sink, count - 2, identity(crcs), crcs);
  write_late(sink, count - 1, provenance_text(provenance_, source_hash), crcs);
  std::vector<zip::Entry> entries;
  entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) entries.push_back(entry(plan_.records[i], crcs[i]));
  sink.write_at(directory_offset_, zip::directory(entries, directory_offset_));
}

// 40 digits from the names, sizes and CRCs of all records before: equal content, equal identity.
std::string ZipFile::identity(const std::vector<std::uint32_t>& crcs) const {
  std::uint64_t state[2] = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f};
  const auto mix = [&](std::uint64_t value) {
    for (std::uint64_t& word : state) {
      word = (word ^ value) * 0xff51afd7ed558ccd;
      word ^= word >> 32;
      value = value * 0xc4ceb9fe1a85ec53 + 1;
    }
  };
  for (std::size_t i = 0; i < copied_count(); ++i) {
    for (const char c : plan_.records[i].name) mix(static_cast<unsigned char>(c));
    mix(plan_.records[i].size);
    mix(crcs[i]);
  }
  std::string digits;
  for (const std::uint64_t word : state) {
    const std::string part = std::to_string(word);
    digits += std::string(kIdentityDigits / 2 - part.size(), '0') + part;
  }
  return digits;
}

void ZipFile::write_late(FileSink& sink, std::size_t i, std::string_view text,
                         std::vector<std::uint32_t>& crcs) const {
  const Bytes bytes = as_bytes(text);
  crcs[i] = zip::crc32(0, bytes);
  const zip::Entry record = entry(plan_.records[i], crcs[i]);
  std::vector<std::byte> out = zip::local_header(record);
  const std::vector<std::byte> behind = zip::data_descriptor(record);
  out.insert(out.end(), bytes.begin(), bytes.end());
  out.insert(out.end(), behind.begin(), behind.end());
  sink.write_at(record.header_offset, out);
}

void ZipFile::verify_structure(const ByteSource& written, const std::vector<std::uint32_t>& crcs) const {
  using copy::fail_verification;
  // Not owned: Archive wants shared ownership, the caller keeps the source alive.
  const zip::Archive archive = zip::Archive::open(SourcePtr(SourcePtr(), &written), Limits{});
  if (archive.records().size() != plan_.records.size())
    fail_verification("it has " + std::to_string(archive.records().size()) + " records, planned were " +
                          std::to_string(plan_.records.size()),
                      "");
  for (std::size_t i = 0; i < plan_.records.size(); ++i) {
    const zip::Record& found = archive.records()[i];
    const copy::Record& planned = plan_.records[i];
    if (found.name != planned.name)
      fail_verification("a record is called " + quote(found.name), planned.name);
    if (found.size != planned.size || found.header_offset != planned.begin ||
        found.data_offset != planned.data_offset || found.method != zip::kStored)
      fail_verification("it has another size or place", planned.name);
    if (found.crc != crcs[i]) fail_verification("it has another CRC", planned.name);
  }
  // What is planned leaves no gaps: a descriptor that is missing would be one.
  if (archive.unlisted_bytes() != 0)
    fail_verification(
        "it has " + std::to_string(archive.unlisted_bytes()) + " bytes that belong to no record", "");
}

}  // namespace ferry::torch
