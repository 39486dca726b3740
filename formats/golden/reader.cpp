#include "formats/golden/reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <tuple>

#include "formats/golden/layout.h"
#include "formats/golden/tree.h"
#include "formats/hdf5/file.h"
#include "formats/hdf5/reader.h"
#include "formats/json/json.h"
#include "formats/numpy/readers.h"
#include "formats/zip/archive.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::golden {
namespace {

constexpr std::uint32_t kNumberMax = 100'000'000;  // of cases, weights and records
constexpr std::size_t kRunsMax = 100;              // of one case

[[noreturn]] void refuse(const std::string& what, std::string_view path) {
  throw Error(Code::bad_golden, what).in("in " + quote(path.empty() ? "/" : path));
}

// --- Attributes by kind

class Attributes {
 public:
  Attributes(const TreeNode& node, const std::string& path) : node_(node), path_(path) {}

  std::string text(std::string_view name) const {
    const TreeValue* const value = needed(name);
    if (const auto* const found = std::get_if<std::string>(value)) return *found;
    refuse("the attribute " + quote(name) + " is no text", path_);
  }
  std::string text_or(std::string_view name, std::string_view otherwise) const {
    return node_.find(name) != nullptr ? text(name) : std::string(otherwise);
  }

  std::int64_t natural(std::string_view name, std::int64_t most) const {
    const auto* const found = std::get_if<std::int64_t>(needed(name));
    if (found != nullptr && *found >= 0 && *found <= most) return *found;
    refuse("the attribute " + quote(name) + " is no integer from 0 to " + std::to_string(most), path_);
  }
  std::int64_t natural_or(std::string_view name, std::int64_t most, std::int64_t otherwise) const {
    return node_.find(name) != nullptr ? natural(name, most) : otherwise;
  }

  // JSON has no infinity and no NaN: their names stand for them.
  double real_or_zero(std::string_view name) const {
    const TreeValue* const value = node_.find(name);
    if (value == nullptr) return 0;
    if (const auto* const integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
    if (const auto* const real = std::get_if<double>(value)) return *real;
    const std::string& word = std::get<std::string>(*value);
    if (word == "inf") return HUGE_VAL;
    if (word == "-inf") return -HUGE_VAL;
    if (word == "nan") return NAN;
    refuse("the attribute " + quote(name) + " is no number", path_);
  }

  std::vector<std::int64_t> shape() const {
    const json::Value document = parsed("shape");
    const json::Value::Array* const sizes = document.array();
    if (sizes == nullptr) refuse_shape();
    std::vector<std::int64_t> shape;
    for (const json::Value& size : *sizes) {
      const auto number = size.integer();
      if (!number || *number < 0) refuse_shape();
      shape.push_back(*number);
    }
    if (!checked_numel(shape)) refuse_shape();
    return shape;
  }

  Golden::Facts facts(std::string_view name) const {
    Golden::Facts facts;
    if (node_.find(name) == nullptr) return facts;
    const json::Value document = parsed(name);
    if (document.object() == nullptr) refuse("the attribute " + quote(name) + " is no object of JSON", path_);
    for (const auto& [key, value] : *document.object()) facts.emplace_back(key, text_of(value));
    return facts;
  }

 private:
  const TreeValue* needed(std::string_view name) const {
    const TreeValue* const value = node_.find(name);
    if (value == nullptr) refuse("the attribute " + quote(name) + " is missing", path_);
    return value;
  }

  json::Value parsed(std::string_view name) const {
    try {
      return json::parse(text(name), {.broken = Code::bad_golden});
    } catch (const Error& error) {
      // Also a document that ends in the middle: the file is whole.
      throw Error(Code::bad_golden, error.summary())
          .in("in the attribute " + quote(name))
          .in("in " + quote(path_.empty() ? "/" : path_));
    }
  }

  [[noreturn]] void refuse_shape() const { refuse("the attribute 'shape' is no list of sizes", path_); }

  // As a person would write it.  Documents nest no deeper than the rules of JSON allow.
  static std::string text_of(const json::Value& value) {
    if (value.text() != nullptr) return *value.text();
    if (const auto truth = value.boolean()) return *truth ? "true" : "false";
    if (const auto integer = value.integer()) return std::to_string(*integer);
    if (const auto number = value.number()) return real_text(*number);
    std::string all;
    if (value.array() != nullptr)
      for (const json::Value& item : *value.array()) all += (all.empty() ? "" : " ") + text_of(item);
    if (value.object() != nullptr)
      for (const auto& [key, item] : *value.object())
        all += (all.empty() ? "" : ", ") + key + "=" + text_of(item);
    return all;
  }

  const TreeNode& node_;
  const std::string& path_;
};

// --- Paths

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::uint32_t number_of(std::string_view digits, const std::string& path) {
  std::uint32_t number = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || problem != std::errc() || end != digits.data() + digits.size() || number > kNumberMax)
    refuse(quote(digits) + " is no number", path);
  return number;
}

// "%2F" and "%25" back to what they stand for; other uses of % are left alone.
std::string name_of(std::string_view part) {
  std::string name;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const std::string_view code = part.substr(i, 3);
    if (code == "%2F" || code == "%25") {
      name += code == "%2F" ? '/' : '%';
      i += 2;
    } else {
      name += part[i];
    }
  }
  return name;
}

// --- From the tree to the golden

class Builder {
 public:
  explicit Builder(Tree tree) : tree_(std::move(tree)) {}

  Golden run() {
    read_root();
    for (const auto& [path, node] : tree_.nodes) read_node(path, node);
    finish_weights();
    finish_cases();
    golden_.data = std::move(tree_.data);
    return std::move(golden_);
  }

 private:
  void read_root() {
    static const std::string kRoot;
    const TreeNode& node = tree_.nodes[kRoot];
    const Attributes root(node, kRoot);
    if (root.text("kind") != kKind) refuse("its kind is not " + quote(kKind), kRoot);
    const std::int64_t layout = root.natural("layout", INT64_MAX);
    if (layout != kLayoutVersion)
      throw Error(Code::bad_version, "the golden has layout " + std::to_string(layout) +
                                         ", this version of torchferry reads layout " +
                                         std::to_string(kLayoutVersion));
    golden_.writer = root.text_or("writer", "");
    golden_.model = root.text_or("model", "");
    golden_.env = root.facts("env");
    golden_.meta = root.facts("meta");
    golden_.f64 = root.text_or("f64", "ok");
    golden_.training = root.natural_or("training", 1, 0) != 0;
    golden_.samples = static_cast<std::uint32_t>(root.natural_or("samples", UINT32_MAX, 0));
  }

  void read_node(const std::string& path, const TreeNode& node) {
    const std::vector<std::string_view> parts = parts_of(path);
    const std::size_t depth = parts.size();
    if (depth == 2 && parts[0] == "weights") return read_weight(number_of(parts[1], path), path, node);
    if (depth >= 2 && parts[0] == "case") {
      GoldenCase& one = cases_[number_of(parts[1], path)];
      if (depth == 2) return read_case(one, path, node);
      if (depth == 4 && parts[2] == "in") return read_input(one, parts[3], path, node);
      if (depth == 3 && parts[2] != "in") return read_run(run_of(one, parts[2]), path, node);
      if (depth == 5 && parts[2] != "in")
        return read_record(run_of(one, parts[2]), parts[3], parts[4], path, node);
    }
    if (node.tensor) refuse("there is an array where layout 1 has none", path);
  }

  void read_weight(std::uint32_t number, const std::string& path, const TreeNode& node) {
    if (node.tensor) refuse("there is an array where layout 1 has none", path);
    const Attributes from(node, path);
    GoldenWeight weight;
    weight.name = from.text("name");
    weight.dtype = from.text("dtype");
    weight.shape = from.shape();
    weight.sha256 = from.text_or("sha256", "");
    weight.l2 = from.real_or_zero("l2");
    weight.max_abs = from.real_or_zero("max");
    weight.mean = from.real_or_zero("mean");
    weight.nonfinite = static_cast<std::uint64_t>(from.natural_or("nonfinite", INT64_MAX, 0));
    if (!weights_.emplace(number, std::move(weight)).second)
      refuse("the number of the weight is there twice", path);
  }

  static void read_case(GoldenCase& one, const std::string& path, const TreeNode& node) {
    const Attributes from(node, path);
    one.name = from.text("name");
    one.edge = from.natural_or("edge", 1, 0) != 0;
  }

  void read_input(GoldenCase& one, std::string_view name, const std::string& path, const TreeNode& node) {
    one.inputs.push_back({name_of(name), whole_array(path, node)});
  }

  static GoldenRun& run_of(GoldenCase& one, std::string_view name) {
    for (GoldenRun& run : one.runs)
      if (run.name == name) return run;
    if (one.runs.size() == kRunsMax)
      refuse("a case has more than " + std::to_string(kRunsMax) + " runs", name);
    one.runs.emplace_back();
    one.runs.back().name = name;
    return one.runs.back();
  }

  static void read_run(GoldenRun& run, const std::string& path, const TreeNode& node) {
    const Attributes from(node, path);
    run.repeats = static_cast<std::uint32_t>(from.natural_or("repeats", UINT32_MAX, 1));
    run.repeat_maxabs = from.real_or_zero("repeat_maxabs");
    run.error = from.text_or("error", "");
  }

  void read_record(GoldenRun& run, std::string_view folder, std::string_view name, const std::string& path,
                   const TreeNode& node) {
    if (folder == "out") {
      run.outputs.push_back({name_of(name), whole_array(path, node)});
    } else if (folder == "mod") {
      const Attributes from(node, path);
      run.modules.push_back({number_of(name, path), from.text("module"), from.text_or("cls", ""),
                             call_of(from), from.text("output"), row_array(path, node)});
    } else if (folder == "op") {
      const Attributes from(node, path);
      run.ops.push_back({number_of(name, path), from.text("op"), from.text("module"), call_of(from),
                         from.text_or("source", ""), from.text("output"), row_array(path, node)});
    } else if (node.tensor) {
      refuse("there is an array where layout 1 has none", path);
    }
  }

  static std::uint32_t call_of(const Attributes& from) {
    return static_cast<std::uint32_t>(from.natural("call", kNumberMax));
  }

  // An array that has the shape of the tensor it was.
  GoldenTensor whole_array(const std::string& path, const TreeNode& node) const {
    const Tensor& stored = stored_tensor(path, node);
    const Attributes from(node, path);
    GoldenTensor tensor = facts_of(from, *node.tensor);
    tensor.dtype = from.text_or("dtype", info(stored.dtype).name);
    const auto shape = tree_.data.shape(stored);
    tensor.shape.assign(shape.begin(), shape.end());
    check_dtype(tensor, stored, path);
    return tensor;
  }

  // All elements of a tensor in one row, or some of them.
  GoldenTensor row_array(const std::string& path, const TreeNode& node) const {
    const Tensor& stored = stored_tensor(path, node);
    const Attributes from(node, path);
    GoldenTensor tensor = facts_of(from, *node.tensor);
    tensor.dtype = from.text("dtype");
    tensor.shape = from.shape();
    tensor.sampled = static_cast<std::uint64_t>(from.natural_or("sampled", INT64_MAX, 0));
    check_dtype(tensor, stored, path);
    const auto kept = tree_.data.shape(stored);
    const auto numel = static_cast<std::uint64_t>(checked_numel(tensor.shape).value_or(0));
    const std::uint64_t expected = tensor.sampled > 0 ? tensor.sampled : numel;
    if (kept.size() != 1 || static_cast<std::uint64_t>(kept[0]) != expected)
      refuse("the array is no row of the " + grouped(expected) + " elements that its attributes speak of",
             path);
    if (tensor.sampled > 0 && tensor.sampled >= numel)
      refuse("it has " + grouped(tensor.sampled) + " samples of " + grouped(numel) + " elements", path);
    return tensor;
  }

  const Tensor& stored_tensor(const std::string& path, const TreeNode& node) const {
    if (!node.tensor) refuse("it has no array", path);
    return tree_.data.tensors[*node.tensor];
  }

  static GoldenTensor facts_of(const Attributes& from, std::uint32_t index) {
    GoldenTensor tensor;
    tensor.tensor = index;
    tensor.sha256 = from.text_or("sha256", "");
    tensor.l2 = from.real_or_zero("l2");
    tensor.max_abs = from.real_or_zero("max");
    tensor.mean = from.real_or_zero("mean");
    tensor.nonfinite = static_cast<std::uint64_t>(from.natural_or("nonfinite", INT64_MAX, 0));
    return tensor;
  }

  // Narrow floating types are kept in wider ones that hold them exactly; everything else as it is.
  static void check_dtype(const GoldenTensor& tensor, const Tensor& stored, const std::string& path) {
    const auto dtype = dtype_by_name(tensor.dtype);
    if (!dtype) refuse("there is no type " + quote(tensor.dtype), path);
    const bool narrow = info(*dtype).itemsize < info(stored.dtype).itemsize;
    const bool real = tensor.dtype.starts_with("bfloat") || tensor.dtype.starts_with("float");
    if (*dtype == stored.dtype || (narrow && real && stored.dtype == DType::float32) ||
        (*dtype == DType::complex32 && stored.dtype == DType::complex64))
      return;
    refuse("a tensor of " + tensor.dtype + " is kept as " + std::string(info(stored.dtype).name), path);
  }

  void finish_weights() {
    std::set<std::string_view> names;
    for (auto& [number, weight] : weights_) golden_.weights.push_back(std::move(weight));
    for (const GoldenWeight& weight : golden_.weights)
      if (!names.insert(weight.name).second) refuse("two weights are named " + quote(weight.name), "weights");
  }

  void finish_cases() {
    for (auto& [number, one] : cases_) {
      const std::string path = "case/" + std::to_string(number);
      if (number != golden_.cases.size()) refuse("the case before it is missing", path);
      if (one.name.empty()) refuse("the attribute 'name' is missing", path);
      for (GoldenRun& run : one.runs) finish_run(run, path + "/" + run.name);
      golden_.cases.push_back(std::move(one));
    }
  }

  static void finish_run(GoldenRun& run, const std::string& path) {
    in_sequence(run.modules, path);
    in_sequence(run.ops, path);
    std::set<std::tuple<std::string_view, std::uint32_t, std::string_view>> names;
    for (const ModuleRecord& record : run.modules)
      if (!names.emplace(record.module, record.call, record.output).second)
        refuse("call " + std::to_string(record.call) + " of module " + quote(record.module) + " has output " +
                   quote(record.output) + " twice",
               path);
  }

  template <typename Record>
  static void in_sequence(std::vector<Record>& records, const std::string& path) {
    const auto by_number = [](const Record& a, const Record& b) { return a.seq < b.seq; };
    std::sort(records.begin(), records.end(), by_number);
    const auto twice = std::adjacent_find(records.begin(), records.end(),
                                          [](const Record& a, const Record& b) { return a.seq == b.seq; });
    if (twice != records.end()) refuse("record " + std::to_string(twice->seq) + " is there twice", path);
  }

  Tree tree_;
  Golden golden_;
  std::map<std::uint32_t, GoldenWeight> weights_;
  std::map<std::uint32_t, GoldenCase> cases_;
};

bool says_golden(const TreeNode& root) {
  const TreeValue* const kind = root.find("kind");
  const auto* const text = kind == nullptr ? nullptr : std::get_if<std::string>(kind);
  return text != nullptr && *text == kKind;
}

bool has_attributes(const SourcePtr& source, const Limits& limits) {
  return zip::Archive::open(source, limits)
             .find(std::string(kAttributesMember) + std::string(kArraySuffix)) != nullptr;
}

}  // namespace

bool is_golden(const SourcePtr& source, const Limits& limits) {
  try {
    if (numpy::looks_like_npz(*source).matches)
      return has_attributes(source, limits) && says_golden(read_npz_tree(source, limits).nodes[""]);
    if (!hdf5::looks_like_hdf5(*source).matches) return false;
    return hdf5::File::open(source, limits).root().text_attribute("kind") == kKind;
  } catch (const Error&) {
    return false;
  }
}

Golden open_golden(SourcePtr source, const Limits& limits) {
  const std::string name = source->name();
  try {
    if (numpy::looks_like_npz(*source).matches)
      return Builder(read_npz_tree(std::move(source), limits)).run();
    if (hdf5::looks_like_hdf5(*source).matches)
      return Builder(read_hdf5_tree(std::move(source), limits)).run();
    throw Error(Code::unknown_format, "a golden is an npz or an HDF5 file, and this is neither");
  } catch (Error& error) {
    error.of(name);
    throw;
  }
}

}  // namespace ferry::golden
