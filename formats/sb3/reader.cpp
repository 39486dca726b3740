#include "formats/sb3/reader.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "formats/sb3/data.h"
#include "formats/torch/graft.h"
#include "formats/torch/nested.h"
#include "formats/torch/program.h"
#include "formats/torch/readers.h"
#include "formats/zip/directory.h"
#include "formats/zip/local.h"
#include "formats/zip/member.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::sb3 {
namespace {

constexpr std::string_view kVersion = "_stable_baselines3_version", kSystem = "system_info.txt",
                           kData = "data", kWeights = ".pth";
constexpr std::uint64_t kTextMax = std::uint64_t{1} << 20, kDataMax = 100'000'000;
constexpr std::size_t kNamedMost = 8;

bool is_weights(const zip::Record& record) { return record.name.ends_with(kWeights); }

// By its version record; before 0.9 nothing but the policy tells.
bool has_layout(const ByteSource& source) {
  bool version = false, data = false, policy = false;
  zip::each_name(source, [&](std::string_view name) {
    version = version || name == kVersion;
    data = data || name == kData;
    policy = policy || name == "policy.pth";
    return !version;
  });
  return version || (data && policy);
}

class Reader {
 public:
  Reader(Checkpoint& checkpoint, const Limits& limits)
      : checkpoint_(checkpoint),
        graph_(checkpoint.values),
        limits_(limits),
        archive_(zip::Archive::open(checkpoint.source, limits)) {}

  void read() {
    judge_names();
    for (const zip::Record& record : archive_.records()) add(record);
    const NodeId root = graph_.make_dict(DictFlavor::plain);
    graph_.append(root, entries_);
    graph_.set_root(root);
    describe();
  }

 private:
  SourcePtr member(const zip::Record& record) const { return zip::member_source(archive_, record, space_); }

  void judge_names() {
    for (const zip::Record& record : archive_.records())
      if (is_weights(record)) torch::note_names(member(record), checkpoint_.globals, limits_.nesting_max);
    torch::refuse_unsafe(checkpoint_.globals);
  }

  void add(const zip::Record& record) {
    try {
      if (archive_.find(record.name) != &record)
        skipped_.push_back(record.name);
      else if (is_weights(record))
        put(record.name.substr(0, record.name.size() - kWeights.size()), weights(record));
      else if (record.name == kData)
        put(kData, data(record));
      else if (record.name == kVersion)
        put(kVersion, graph_.make_text(text(record)));
      else if (record.name == kSystem)
        put("system_info", graph_.make_text(text(record)));
      else
        skipped_.push_back(record.name);
    } catch (Error& error) {
      error.in(zip::in_record(record.name));
      throw;
    }
  }

  void put(std::string_view key, NodeId value) {
    entries_.push_back(graph_.make_text(key));
    entries_.push_back(value);
  }

  NodeId weights(const zip::Record& record) {
    const SourcePtr source = member(record);
    const Checkpoint part = torch::starts_like_legacy(*source) ? torch::open_legacy(source, limits_)
                                                               : torch::open_zip(source, limits_);
    if (!part.container.checksums) zip::check_stored(archive_, record);
    nested_ += part.nested;
    checkpoint_.container.protocol = std::max(checkpoint_.container.protocol, part.container.protocol);
    return grafter_.add(part);
  }

  NodeId data(const zip::Record& record) {
    const auto document = archive_.read(record, kDataMax);
    Data read = read_data(as_text(Bytes(document)), graph_);
    serialized_ = std::move(read.serialized);
    return read.root;
  }

  std::string text(const zip::Record& record) const {
    const auto bytes = archive_.read(record, kTextMax);
    const std::string_view text = as_text(Bytes(bytes));
    return is_utf8(text, false) ? std::string(text) : latin1_to_utf8(text);
  }

  void describe() {
    Container& container = checkpoint_.container;
    container.format = "stable-baselines3 zip";
    container.checksums = true;
    for (const zip::Record& record : archive_.records())
      container.records.push_back(
          {record.name, record.data_offset, record.size, record.stored_size, record.crc});
    torch::note_nested(checkpoint_, nested_);
    const NodeId root = graph_.root();
    if (!serialized_.empty())
      checkpoint_.note(
          root, Code::lost_value,
          std::to_string(serialized_.size()) +
              " values of data were written by cloudpickle and never loaded; what JSON says beside "
              "them was kept: " +
              listed(serialized_, kNamedMost));
    if (!skipped_.empty())
      checkpoint_.note(root, Code::archive_metadata,
                       "members of no known use: " + listed(skipped_, kNamedMost));
  }

  Checkpoint& checkpoint_;
  ValueGraph& graph_;
  const Limits& limits_;
  const zip::Archive archive_;
  torch::Grafter grafter_{checkpoint_};
  const std::shared_ptr<zip::InflatedSpace> space_ = std::make_shared<zip::InflatedSpace>();
  std::vector<NodeId> entries_;  // of the root: keys and values in turn
  std::vector<std::string> serialized_, skipped_;
  std::size_t nested_ = 0;
};

}  // namespace

Likeness looks_like_sb3(const ByteSource& source) {
  const Likeness zip = zip::looks_like_zip(source);
  if (!zip.matches) return {false, zip.reason};
  const std::string no = "it is a zip archive without a version of stable-baselines3 and a policy";
  // torch.save begins with its program; archives of 100,000 tensors must not be listed twice.
  if (zip::first_record_name(source).ends_with("data.pkl")) return {false, no};
  const bool found = has_layout(source);
  return {found, found ? "it is a zip archive with the members of stable-baselines3" : no};
}

Checkpoint open_sb3(SourcePtr source, const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = std::move(source);
  Reader(checkpoint, limits).read();
  return checkpoint;
}

}  // namespace ferry::sb3
