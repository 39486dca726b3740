#include "tests/support/golden_draft.h"

#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "formats/golden/reader.h"
#include "src/core/bytes.h"
#include "tests/support/content.h"

namespace ferry::test {
namespace {

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

}  // namespace

void GoldenDraft::array(std::string path, std::vector<std::int64_t> shape, const std::vector<float>& values) {
  arrays.push_back({std::move(path), DType::float32, std::move(shape), bytes_of(values)});
}

void GoldenDraft::array(std::string path, std::vector<std::int64_t> shape,
                        const std::vector<double>& values) {
  arrays.push_back({std::move(path), DType::float64, std::move(shape), bytes_of(values)});
}

void GoldenDraft::set(const std::string& path, const std::string& name, golden::AttributeValue value) {
  for (Attribute& attribute : attributes)
    if (attribute.path == path && attribute.name == name) {
      attribute.value = std::move(value);
      return;
    }
  attributes.push_back({path, name, std::move(value)});
}

void GoldenDraft::drop(const std::string& path, const std::string& name) {
  std::erase_if(attributes, [&](const Attribute& one) { return one.path == path && one.name == name; });
}

void GoldenDraft::drop_array(const std::string& path) {
  std::erase_if(arrays, [&](const Array& one) { return one.path == path; });
}

std::vector<std::byte> GoldenDraft::bytes() const {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "golden_draft.XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return {};
  FileSink sink(folder + "/golden.npz", 0, {.sync = false});
  golden::GoldenWriter writer(sink);
  for (const Array& one : arrays) writer.put(one.path, one.dtype, one.shape, one.bytes);
  for (const Attribute& one : attributes) writer.attribute(one.path, one.name, one.value);
  writer.finish();
  sink.commit();
  std::vector<std::byte> bytes = read_file(folder + "/golden.npz");
  fs::remove_all(folder);
  return bytes;
}

Golden GoldenDraft::open() const {
  return golden::open_golden(std::make_shared<MemorySource>("golden.npz", bytes()), Limits{});
}

GoldenDraft small_golden() {
  GoldenDraft draft;
  draft.set("", "layout", std::int64_t{1});
  draft.set("", "kind", std::string("torch-golden"));
  draft.set("", "writer", std::string("a test"));
  draft.set("", "model", std::string("Net"));
  draft.set("", "env",
            std::string(R"({"torch": "1.4.0", "threads": 4, "cudnn_allow_tf32": null, "list": [1, 2]})"));
  draft.set("", "meta", std::string(R"({"checkpoint_sha256": "ab"})"));
  draft.set("", "training", std::int64_t{0});
  draft.set("", "samples", std::int64_t{4});
  draft.set("weights/00000", "name", std::string("fc.weight"));
  draft.set("weights/00000", "shape", std::string("[2, 3]"));
  draft.set("weights/00000", "dtype", std::string("float32"));
  draft.set("weights/00000", "sha256", std::string("00ff"));
  for (const std::string one : {"case/0", "case/1"}) {
    draft.set(one, "name", "normal " + one.substr(5));
    draft.array(one + "/in/0", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
    draft.array(one + "/f32/out/0", {2, 2}, std::vector<float>{1, 2, 3, 4});
    draft.array(one + "/f64/out/0", {2, 2}, std::vector<double>{1, 2, 3, 4});
    draft.set(one + "/f32", "repeats", std::int64_t{2});
    draft.set(one + "/f32", "repeat_maxabs", 0.5);
    draft.module(one + "/f32", 0, "fc", "Linear", std::vector<float>{1, 2, 3, 4});
    draft.module(one + "/f64", 0, "fc", "Linear", std::vector<double>{1, 2, 3, 4});
    draft.module(one + "/f32", 1, "", "Net", std::vector<float>{1, 2, 3, 4});
    draft.module(one + "/f64", 1, "", "Net", std::vector<double>{1, 2, 3, 4});
    for (const std::string run : {"/f32", "/f64"}) {
      draft.set(one + run + "/mod/00000", "shape", std::string("[10, 20]"));
      draft.set(one + run + "/mod/00000", "sampled", std::int64_t{4});
      draft.set(one + run + "/mod/00000", "l2", 12.5);
      draft.set(one + run + "/mod/00000", "max", std::numeric_limits<double>::infinity());
      draft.set(one + run + "/mod/00000", "nonfinite", std::int64_t{1});
    }
  }
  return draft;
}

}  // namespace ferry::test
