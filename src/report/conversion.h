// What a run of `convert` did, file by file: the record, and its forms for people and programs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/change_log.h"
#include "src/core/error.h"
#include "src/report/json.h"
#include "src/report/modules.h"

namespace ferry::report {

enum class Outcome : std::uint8_t {
  converted,
  planned,  // --dry-run: would be converted
  skipped,  // found in a folder or by a pattern, and no checkpoint
  failed,
  refused,  // for safety
};

struct FileReport {
  std::string source, destination;  // as given, and as derived from what was given
  Outcome outcome = Outcome::failed;
  std::string format;                // of the source: "legacy stream"
  std::string target = "torch zip";  // what was or would be written
  std::uint64_t bytes_before = 0, bytes_after = 0;
  std::uint64_t tensors = 0, tensor_bytes = 0;
  bool verified = false;
  std::string source_hash;  // XXH3-128; empty when nothing was written
  ChangeLog changes;
  std::vector<ModuleFacts> modules;  // of objects that were saved whole
  std::optional<Error> error;        // why it was skipped, failed or was refused
};

struct ConversionReport {
  std::string version;  // of torchferry
  std::string layout;   // "keep" or "clean"
  bool dry_run = false;
  std::vector<FileReport> files;  // in the order of their paths
};

struct ConversionTotals {
  std::size_t files = 0, converted = 0, planned = 0, skipped = 0, failed = 0, refused = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;  // of what was or would be converted
};

std::string_view outcome_name(Outcome outcome);
ConversionTotals totals(const ConversionReport& report);
bool nothing_found(const ConversionReport& report);  // no file was a checkpoint
int exit_code(const FileReport& file);
int exit_code(const ConversionReport& report);  // the worst of its files: 3 > 2 > 1 > 0

// Text.  Everything that comes from a file is escaped, so that it can be printed as it is.
struct TextStyle {
  bool color = false;
  bool all = false;  // every change, however many there are
};
std::string one_line(const FileReport& file,
                     const TextStyle& style);  // "converted  a.pt → b.pt  1.0 KiB → 2.0 KiB …"
std::string block(const FileReport& file, const TextStyle& style);  // source → destination, and every change
std::string summary_table(const ConversionReport& report, const TextStyle& style);
std::string text_report(const ConversionReport& report);

// One document, "schema": "torchferry.convert/1".
void write_json(const ConversionReport& report, const JsonWriter::Put& put);

// One self-contained page.
std::string html_report(const ConversionReport& report);

// True for TF6xx: something to know, nothing that was changed.
inline bool is_remark(Code code) { return static_cast<unsigned>(code) >= 600; }

// Changes of one kind with one wording, and where they were made.
struct ChangeGroup {
  Code code;
  std::string what;
  std::vector<std::string_view> paths;      // into the log
  const std::vector<std::string>* details;  // of the first of them
};
std::vector<ChangeGroup> group_changes(const ChangeLog& log);  // in the order of their first change

}  // namespace ferry::report
