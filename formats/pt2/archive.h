// The records of a torch.export archive: which there must be, and how they are named.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/json/json.h"
#include "formats/zip/archive.h"

namespace ferry::pt2 {

class Records {
 public:
  // Throws Code::missing_record, bad_version, bad_byte_order, unsupported_container (older layouts, archives
  // with several models or none), and what zip::Archive::open throws.
  Records(SourcePtr source, const Limits& limits);

  const zip::Archive& archive() const { return archive_; }
  const std::string& root() const { return root_; }    // "model/"
  const std::string& model() const { return model_; }  // "model" of models/model.json
  bool big_endian() const { return big_endian_; }
  const std::string& version() const { return version_; }

  const zip::Record* find(std::string_view name) const;    // below the root
  const zip::Record& demand(std::string_view name) const;  // throws Code::missing_record
  // The document in a record.  Complaints say which record and carry Code::bad_pt2.
  json::Value read_json(std::string_view name) const;

 private:
  std::string read_text(std::string_view name) const;
  void find_root();
  void find_model();

  zip::Archive archive_;
  std::string root_, model_, version_;
  bool big_endian_ = false;
};

// Whether torch 2.1 … 2.7 wrote it, in the layout of that time.
bool has_old_layout(const zip::Archive& archive);

}  // namespace ferry::pt2
