#include "formats/stated.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "formats/hdf5/names.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry {
namespace {

constexpr std::string_view kStateDataset = "__torchferry__";
constexpr std::uint64_t kStateMax = 100'000'000;  // as the reader of JSON has it

bool is_state(std::string_view text) { return text.starts_with("{\"schema\":\"torchferry.state/"); }

// The file beside the tensors; nothing when there is none or it is something else's.
SourcePtr state_beside(const std::string& path) {
  constexpr std::string_view kIndex = ".index.json";
  const std::string beside = (path.ends_with(kIndex) ? path.substr(0, path.size() - kIndex.size()) : path) +
                             std::string(state::kSuffix);
  std::error_code problem;
  if (!std::filesystem::is_regular_file(beside, problem)) return nullptr;
  SourcePtr file = open_file(beside);
  const auto head = file->read({0, std::min<std::uint64_t>(file->size(), 64)});
  return is_state(as_text(Bytes(head))) ? file : nullptr;
}

std::string text_of(const ByteSource& source, ByteRange range) {
  if (range.size > kStateMax)
    throw Error(Code::limit_exceeded,
                "the state has " + grouped(range.size) + " bytes, the limit is " + grouped(kStateMax))
        .of(source.name());
  const auto bytes = source.read(range);
  return std::string(as_text(Bytes(bytes)));
}

// Both must be as they were when the conversion is done.
class SourceWithState final : public ByteSource {
 public:
  SourceWithState(SourcePtr tensors, SourcePtr state)
      : tensors_(std::move(tensors)), state_(std::move(state)) {}
  const std::string& name() const override { return tensors_->name(); }
  std::uint64_t size() const override { return tensors_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    tensors_->read_at(offset, out);
  }
  int descriptor() const override { return tensors_->descriptor(); }
  void check_unchanged() const override {
    tensors_->check_unchanged();
    state_->check_unchanged();
  }

 private:
  SourcePtr tensors_, state_;
};

void restore_from_file(Checkpoint& checkpoint, state::Fit fit) {
  const SourcePtr file = state_beside(checkpoint.source->name());
  if (!file) return;
  try {
    state::restore(checkpoint, state::names_of_root(checkpoint), text_of(*file, {0, file->size()}), fit);
  } catch (Error& error) {
    error.of(file->name()).with_hint("move that file away to read the tensors alone");
    throw;
  }
  checkpoint.source = std::make_shared<SourceWithState>(checkpoint.source, file);
  checkpoint.container.format += " with state";
}

// "/model/conv.weight" → "model.conv.weight"
std::string name_of_path(std::string_view path) {
  std::string name;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    name += (at > 1 ? "." : "") + hdf5::name_of_link(path.substr(at, end - at));
    at = end + 1;
  }
  return name;
}

void restore_from_dataset(Checkpoint& checkpoint, state::Fit fit) {
  ValueGraph& graph = checkpoint.values;
  const NodeId node =
      graph.kind(graph.root()) == Kind::dict ? graph.find(graph.root(), kStateDataset) : kNoNode;
  if (node == kNoNode || graph.kind(node) != Kind::tensor) return;
  const std::uint32_t index = graph.index(node);
  const Tensor& tensor = checkpoint.tensors[index];
  const StorageBytes& bytes = checkpoint.storages[tensor.storage].bytes;
  if (tensor.dtype != DType::uint8 || tensor.rank != 1) return;
  const std::string text = text_of(*bytes.source, {bytes.offset, bytes.size});
  if (!is_state(text)) return;
  std::vector<std::string> names;
  for (const Tensor& one : checkpoint.tensors)
    names.push_back(name_of_path(checkpoint.storages[one.storage].key));
  // The text itself is no tensor of the checkpoint.
  checkpoint.tensors.erase(checkpoint.tensors.begin() + index);
  names.erase(names.begin() + index);
  checkpoint.notes.erase(std::remove_if(checkpoint.notes.begin(), checkpoint.notes.end(),
                                        [](const Note& note) { return note.code == Code::archive_metadata; }),
                         checkpoint.notes.end());
  state::restore(checkpoint, names, text, fit);
  checkpoint.container.format += " with state";
}

}  // namespace

void restore_state(Checkpoint& checkpoint, state::Fit fit) {
  const std::string& format = checkpoint.container.format;
  if (format == "hdf5") return restore_from_dataset(checkpoint, fit);
  if (format == "safetensors" || format == "sharded safetensors" || format == "npz")
    restore_from_file(checkpoint, fit);
}

}  // namespace ferry
