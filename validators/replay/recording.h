// What a replay leaves behind: a golden, written as the runs go.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <string>
#include <vector>

#include "formats/golden/writer.h"
#include "src/core/sink.h"
#include "validators/replay/stored.h"

namespace ferry::replay {

struct RecordedValue {
  std::string path;
  c10::IValue value;  // a tensor or a number
};

class Recording {
 public:
  Recording(const std::string& path, std::uint32_t samples);

  void root(std::string_view name, golden::AttributeValue value) {
    writer_.attribute("", name, std::move(value));
  }
  // What the model computes with: the facts bind the golden to a checkpoint.
  void weight(const std::string& name, const at::Tensor& tensor);
  void begin_case(std::size_t index, const std::string& name, bool edge);
  void input(const std::string& path, const at::Tensor& tensor);
  void begin_run(const std::string& name);
  void output(const RecordedValue& output);
  void module(const std::string& module, const std::string& class_name, std::uint32_t call,
              const std::string& output, const at::Tensor& tensor);
  void operation(const std::string& op, const std::string& module, std::uint32_t call,
                 const std::string& source, const std::string& output, const at::Tensor& tensor);
  void end_run(std::uint32_t repeats, double repeat_maxabs, double seconds, const std::string& error);
  void commit();

 private:
  std::string next(const char* folder, std::uint32_t& sequence) const;
  void put(const std::string& path, const at::Tensor& tensor, bool sampled, bool hashed);
  void put_facts(const std::string& path, const FlatTensor& whole, bool hashed);

  FileSink sink_;
  golden::GoldenWriter writer_;
  std::uint32_t samples_;
  std::string case_, run_;  // "case/0", "case/0/f32"
  std::uint32_t module_ = 0, operation_ = 0, weight_ = 0;
};

}  // namespace ferry::replay
