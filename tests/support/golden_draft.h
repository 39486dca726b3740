// Goldens made by hand, for tests that look at them and for tests that damage them.
#pragma once

#include <string>
#include <vector>

#include "formats/golden/writer.h"
#include "src/core/golden.h"

namespace ferry::test {

struct GoldenDraft {
  struct Array {
    std::string path;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;
  };
  struct Attribute {
    std::string path, name;
    golden::AttributeValue value;
  };
  std::vector<Array> arrays;
  std::vector<Attribute> attributes;

  void array(std::string path, std::vector<std::int64_t> shape, const std::vector<float>& values);
  void array(std::string path, std::vector<std::int64_t> shape, const std::vector<double>& values);
  void set(const std::string& path, const std::string& name,
           golden::AttributeValue value);  // adds or replaces
  void drop(const std::string& path, const std::string& name);
  void drop_array(const std::string& path);

  // A record of a module with all that layout 1 asks for.
  template <typename T>
  void module(const std::string& run, std::uint32_t seq, const std::string& module, const std::string& cls,
              const std::vector<T>& values) {
    const std::string path = run + "/mod/" + golden::sequence_name(seq);
    const auto size = static_cast<std::int64_t>(values.size());
    array(path, {size}, values);
    set(path, "module", module);
    set(path, "cls", cls);
    set(path, "call", std::int64_t{0});
    set(path, "output", std::string("0"));
    set(path, "shape", "[" + std::to_string(size) + "]");
    set(path, "dtype", std::string(sizeof(T) == 4 ? "float32" : "float64"));
  }

  std::vector<std::byte> bytes() const;  // as GoldenWriter writes it
  Golden open() const;
};

// Two inputs; a weight; two modules in float32 and float64, one of them sampled.
GoldenDraft small_golden();

}  // namespace ferry::test
