// What `inspect` found out about a file, and its two forms: a screen for people, a document for programs.
//
// Both are written in three steps, because a conversion changes the checkpoint in memory: begin (what the
// file is, who wrote it, what is in it), then the tables that were asked for, then end (what PyTorch 2.x
// says, what convert would do).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/core/change_log.h"
#include "src/core/checkpoint.h"
#include "src/core/error.h"
#include "src/report/json.h"
#include "src/report/modules.h"

namespace ferry::report {

struct WriterFacts {
  std::string possible,
      likely;  // "1.6 – 1.12", empty where it was no PyTorch; likely is empty where it is no narrower
  std::string from, to, likely_from, likely_to;  // "1.6", "1.12"; `to` is empty for "or later"
  std::string python;                            // "2", "3" or empty
  std::string tool;                              // another program, or empty
  std::vector<std::string> evidence;
};

struct LoadFacts {
  struct Objection {
    std::string obstacle, subject, what;
  };
  bool loads = false, maps = false;
  std::vector<Objection> objections;
  std::string maps_because;
  std::vector<std::string> cautions;
};

struct GlobalFacts {
  std::string name, use, trust;  // "collections.OrderedDict", "called", "allowed"
  bool accepted = false;         // by weights_only
  std::uint64_t at = 0;
};

// Of --check.
struct CheckFacts {
  struct Damage {
    std::string record, what;
  };
  bool checksums = false;      // the container has them
  std::uint64_t records = 0;   // that were read
  std::uint64_t unsummed = 0;  // of these, records without a CRC
  std::uint64_t bytes = 0;
  std::vector<Damage> damages;
};

// Of --stats, one tensor.
struct StatisticsFacts {
  std::string path, dtype;
  std::string why_not;  // not measured, and why
  std::uint64_t count = 0, zeros = 0, nans = 0, infinities = 0;
  double min = 0, max = 0, mean = 0, std = 0;
};

struct Inspection {
  std::string path;  // as given
  std::uint64_t size_bytes = 0;
  const Checkpoint* checkpoint = nullptr;
  WriterFacts writer;
  LoadFacts load;
  std::vector<ModuleFacts> modules;  // of objects that were saved whole
};

// What is whole of a file that is damaged.
struct SalvageFacts {
  std::string story;               // "17 of 20 storages are whole; the first that is not begins at byte 1024"
  std::vector<std::string> whole;  // paths of tensors
  struct Loss {
    std::string path, why;
  };
  std::vector<Loss> lost;
};

struct ConvertFacts {
  ChangeLog changes;
  std::optional<Error> error;          // convert would fail
  std::string recipe, recipe_because;  // the recipe for such files, and why it is the one; empty: none
};

struct InspectionStyle {
  bool tree = false, tensors = false, globals = false, offsets = false, code = false, all = false,
       color = false;
  std::size_t width = 0;  // of the terminal; 0: nothing is cut
};

class InspectionReport {
 public:
  virtual ~InspectionReport() = default;
  virtual void begin(const Inspection& file) = 0;
  virtual void globals(std::span<const GlobalFacts> facts) = 0;
  virtual void statistics(std::span<const StatisticsFacts> facts) = 0;
  virtual void check(const CheckFacts& facts) = 0;
  virtual void end(const ConvertFacts& facts) = 0;
  // A file that could not be opened.  `format` is what it looked like, or empty; `whole` is nullptr where
  // nothing of it is known to be whole.  The message itself goes to stderr; the screen tells of what was
  // refused, and of what is whole.
  virtual void failed(const std::string& path, std::uint64_t size_bytes, std::string_view format,
                      const Error& error, const SalvageFacts* whole) = 0;
};

using Put = JsonWriter::Put;

// One screen a file.
class InspectionText final : public InspectionReport {
 public:
  InspectionText(Put put, InspectionStyle style) : put_(std::move(put)), style_(style) {}
  void begin(const Inspection& file) override;
  void globals(std::span<const GlobalFacts> facts) override;
  void statistics(std::span<const StatisticsFacts> facts) override;
  void check(const CheckFacts& facts) override;
  void end(const ConvertFacts& facts) override;
  void failed(const std::string& path, std::uint64_t size_bytes, std::string_view format, const Error& error,
              const SalvageFacts* whole) override;

 private:
  void line(std::string_view label, std::string_view text);
  void whole(const std::string& path, std::uint64_t size_bytes, std::string_view format,
             const SalvageFacts& facts);
  void title(const std::string& path, std::uint64_t size_bytes, std::string_view what);
  void section(std::string_view name);
  void writer();
  void contents();
  void tensors();
  void offsets();
  void modules();
  void sources();
  void load();

  Put put_;
  InspectionStyle style_;
  const Inspection* file_ = nullptr;
  bool first_ = true;
};

// One document a file, "schema": "torchferry.inspect/1".
class InspectionJson final : public InspectionReport {
 public:
  InspectionJson(Put put, JsonWriter::Style form, InspectionStyle style)
      : put_(std::move(put)), form_(form), style_(style), json_(put_, form) {}
  void begin(const Inspection& file) override;
  void globals(std::span<const GlobalFacts> facts) override;
  void statistics(std::span<const StatisticsFacts> facts) override;
  void check(const CheckFacts& facts) override;
  void end(const ConvertFacts& facts) override;
  void failed(const std::string& path, std::uint64_t size_bytes, std::string_view format, const Error& error,
              const SalvageFacts* whole) override;

 private:
  void open(const std::string& path, std::uint64_t size_bytes, std::string_view format);
  void close();
  void error(const Error& error);
  void strings(std::string_view name, std::span<const std::string> texts);
  void container();
  void writer();
  void contents();
  void tensors();
  void offsets();
  void sources();
  void load();

  Put put_;
  JsonWriter::Style form_;
  InspectionStyle style_;
  JsonWriter json_;
  const Inspection* file_ = nullptr;
};

}  // namespace ferry::report
