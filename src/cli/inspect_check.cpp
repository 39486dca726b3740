#include "src/cli/inspect_check.h"

#include <algorithm>

#include "formats/zip/archive.h"
#include "src/core/error.h"

namespace ferry::cli {
namespace {

bool is_damage(const Error& error) {
  return error.code() == Code::checksum_mismatch || error.code() == Code::bad_deflate;
}

void check_archive(const Checkpoint& checkpoint, const Limits& limits, report::CheckFacts& facts) {
  const zip::Archive archive = zip::Archive::open(checkpoint.source, limits);
  for (const zip::Record& record : archive.records()) {
    try {
      archive.check(record);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      facts.damages.push_back({record.name, error.summary()});
    }
    ++facts.records;
    facts.unsummed += static_cast<std::uint64_t>(!record.crc_computed);
    facts.bytes += record.size;
  }
}

// Nothing to compare with: what can be known is that every byte can be read.
void read_all(const Checkpoint& checkpoint, report::CheckFacts& facts) {
  std::vector<std::byte> block(kReadBlock);
  for (std::uint64_t at = 0; at < checkpoint.source->size();) {
    const auto piece =
        std::span(block).first(std::min<std::uint64_t>(kReadBlock, checkpoint.source->size() - at));
    checkpoint.source->read_at(at, piece);
    at += piece.size();
  }
  facts.records = checkpoint.container.records.size();
  facts.bytes = checkpoint.source->size();
}

}  // namespace

report::CheckFacts check_records(const Checkpoint& checkpoint, const Limits& limits) {
  report::CheckFacts facts;
  facts.checksums = checkpoint.container.checksums;
  const std::string& format = checkpoint.container.format;
  if (format == "torch zip" || format == "TorchScript archive")
    check_archive(checkpoint, limits, facts);
  else
    read_all(checkpoint, facts);
  checkpoint.source->check_unchanged();
  return facts;
}

}  // namespace ferry::cli
