#include "validators/replay/session.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "formats/golden/reader.h"
#include "src/core/error.h"
#include "src/core/text.h"
#include "validators/replay/events.h"
#include "validators/replay/model.h"
#include "validators/replay/types.h"

namespace ferry::replay {
namespace {

c10::Device device_of(const Request& request) {
  const std::string& wanted = request.device;
  // CUDA maps all memory of the machine and of its GPUs into the address space.
  if (request.memory_mib != 0 && wanted == "cuda")
    throw Error(Code::bad_usage, "address space is limited, and a GPU needs more of it than any limit leaves")
        .with_hint("leave the limit out, or run on the processor");
  if (request.memory_mib != 0) return c10::Device(c10::kCPU);
  const bool cuda = at::globalContext().hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
  if (wanted == "cuda" && !cuda)
    throw Error(Code::bad_usage, "there is no GPU here that this build of LibTorch can use");
  return cuda && wanted != "cpu" ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
}

// PyTorch takes cuBLAS for deterministic only with this variable, asks once, and warns at every product
// without it.  Left in place it slows every product: on an H200 a small model took four times as long.
// Source: aten/src/ATen/Context.cpp (alertCuBLASConfigNotDeterministic); measured with 2.11.0+cu130.
void prepare_cublas(c10::Device device) {
  constexpr const char* kVariable = "CUBLAS_WORKSPACE_CONFIG";
  if (!device.is_cuda() || std::getenv(kVariable) != nullptr) return;
  ::setenv(kVariable, ":4096:8", 1);
  const at::Tensor one = at::ones({1, 1}, at::TensorOptions(device).dtype(at::kFloat));
  at::mm(one, one);
  ::unsetenv(kVariable);
}

void synchronize(c10::Device device) {
  if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
}

// The largest difference of two passes; NaN in the same place is none.
double distance(const std::vector<RecordedValue>& a, const std::vector<RecordedValue>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (!a[i].value.isTensor() || !b[i].value.isTensor() || a[i].value.toTensor().numel() == 0) continue;
    const at::Tensor left = a[i].value.toTensor(), right = b[i].value.toTensor();
    const bool complex = left.is_complex();
    const at::Tensor difference = (left.to(complex ? at::kComplexDouble : at::kDouble) -
                                   right.to(complex ? at::kComplexDouble : at::kDouble))
                                      .abs();
    largest = std::max(largest, at::nan_to_num(difference).max().item<double>());
  }
  return largest;
}

class Session {
 public:
  explicit Session(const Request& request)
      : request_(request),
        device_(device_of(request)),
        golden_(golden::open_golden(open_file(request.golden), Limits{})),
        stored_(golden_.data),
        recording_(request.out, request.samples) {}

  void run() {
    for (const std::string& name : request_.runs) precisions_.push_back(precision_of(name));
    check_cases();
    tell(JsonObject()
             .text("event", "started")
             .text("protocol", kProtocol)
             .text("torch", TORCH_VERSION)
             .text("device", device_.is_cuda() ? "cuda" : "cpu")
             .truth("cuda", at::globalContext().hasCUDA())
             .number("threads", at::get_num_threads()));
    prepare_cublas(device_);
    model_ = request_.kind == ModelKind::pt2 ? open_pt2_model(request_.model, device_)
                                             : open_torchscript_model(request_.model, device_);
    take_weights();
    describe();
    for (const ModelWeight& weight : model_->weights())
      recording_.weight(weight.name, model_->weight(weight.name));
    record_inputs();
    for (const Precision& precision : precisions_) run_all(precision);
    recording_.root("f64", contamination_.empty() ? "ok" : "contaminated: " + contamination_);
    recording_.commit();
  }

 private:
  void check_cases() {
    for (std::size_t i = 0; i < golden_.cases.size(); ++i)
      if (!request_.cases ||
          std::find(request_.cases->begin(), request_.cases->end(), i) != request_.cases->end())
        cases_.push_back(i);
    if (request_.cases)
      for (const std::size_t index : *request_.cases)
        if (index >= golden_.cases.size())
          throw Error(Code::bad_usage, "the golden has no case " + std::to_string(index));
    if (cases_.empty()) throw Error(Code::bad_usage, "the golden has no cases to run");
  }

  void take_weights() {
    if (request_.weights.empty()) return;
    NewWeights weights(request_, model_->weights());
    model_->take(weights);
    tell(JsonObject().text("event", "weights").text("path", weights.path()));
  }

  void describe() {
    recording_.root("model", golden_.model);
    recording_.root("training", std::int64_t{golden_.training});
    recording_.root("env", JsonObject()
                               .text("torch", TORCH_VERSION)
                               .text("device", device_.is_cuda() ? "cuda" : "cpu")
                               .number("threads", at::get_num_threads())
                               .truth("deterministic", true)
                               .text("float32_precision", "ieee")
                               .finished());
    recording_.root("meta", JsonObject()
                                .text("kind", request_.kind == ModelKind::pt2 ? "pt2" : "torchscript")
                                .truth("weights_replaced", !request_.weights.empty())
                                .finished());
  }

  // Cases keep their numbers where all are run; a choice of them is numbered anew, without gaps.
  void begin(std::size_t at) {
    const GoldenCase& one = golden_.cases[cases_[at]];
    recording_.begin_case(at, one.name, one.edge);
  }

  void record_inputs() {
    for (std::size_t at = 0; at < cases_.size(); ++at) {
      begin(at);
      for (const GoldenOutput& input : golden_.cases[cases_[at]].inputs)
        recording_.input(input.path, load(input));
    }
  }

  at::Tensor load(const GoldenOutput& input) {
    const at::Tensor tensor = stored_.load(input.tensor.tensor);
    const auto dtype = input.tensor.dtype.empty() ? std::nullopt : dtype_by_name(input.tensor.dtype);
    return dtype ? tensor.to(scalar_type_of(*dtype)) : tensor;
  }

  Inputs inputs_of(const GoldenCase& one, bool wide) {
    Inputs inputs;
    for (const GoldenOutput& input : one.inputs) {
      at::Tensor tensor = load(input).contiguous();
      if (wide && tensor.scalar_type() == at::kFloat) tensor = tensor.to(at::kDouble);
      if (wide && tensor.scalar_type() == at::kComplexFloat) tensor = tensor.to(at::kComplexDouble);
      inputs.emplace(input.path, tensor.to(device_));
    }
    stored_.forget();
    return inputs;
  }

  void run_all(const Precision& precision) {
    try {
      model_->prepare(precision, request_.taps);
    } catch (Error& error) {
      throw error.in("in run " + quote(precision.name)).of(request_.model);
    }
    for (std::size_t at = 0; at < cases_.size(); ++at) {
      begin(at);
      recording_.begin_run(precision.name);
      run_one(at, precision);
    }
  }

  void run_one(std::size_t at, const Precision& precision) {
    JsonObject event;
    event.text("event", "run")
        .number("case", static_cast<std::int64_t>(cases_[at]))
        .text("run", precision.name);
    try {
      const Measured measured = measure(golden_.cases[cases_[at]], precision);
      for (const RecordedValue& output : measured.outputs) recording_.output(output);
      recording_.end_run(request_.repeats, measured.repeat_maxabs, measured.seconds, "");
      event.real("seconds", measured.seconds);
      if (precision.wide && contamination_.empty()) contamination_ = model_->contamination();
    } catch (const Error& error) {
      if (error.code() != Code::model_failed && error.code() != Code::out_of_memory) throw;
      std::string why = error.summary();
      for (const std::string& place : error.where()) why += "; " + place;
      recording_.end_run(0, 0, 0, why);
      event.text("error", why).text("code", code_name(error.code()));
    }
    tell(event);
  }

  struct Measured {
    std::vector<RecordedValue> outputs;
    double seconds = 0, repeat_maxabs = 0;
  };

  Measured measure(const GoldenCase& one, const Precision& precision) {
    const Inputs inputs = inputs_of(one, precision.wide);
    const PrecisionScope scope(precision, device_);
    Measured measured;
    const bool tapped = request_.taps != Taps::none;
    if (tapped) measured.outputs = model_->forward(inputs, &recording_);
    for (std::uint32_t i = 0; i < request_.repeats && (!tapped || i + 1 < request_.repeats); ++i) {
      synchronize(device_);
      const auto start = std::chrono::steady_clock::now();
      auto outputs = model_->forward(inputs, nullptr);
      synchronize(device_);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      measured.seconds = i == 0 ? seconds : std::min(measured.seconds, seconds);
      if (measured.outputs.empty())
        measured.outputs = std::move(outputs);
      else
        measured.repeat_maxabs = std::max(measured.repeat_maxabs, distance(measured.outputs, outputs));
    }
    return measured;
  }

  const Request& request_;
  c10::Device device_;
  Golden golden_;
  StoredTensors stored_;
  Recording recording_;
  std::vector<Precision> precisions_;
  std::vector<std::size_t> cases_;
  std::unique_ptr<Model> model_;
  std::string contamination_;
};

}  // namespace

void serve(const Request& request) {
  if (request.threads > 0) at::set_num_threads(static_cast<int>(request.threads));
  be_exact();
  const at::NoGradGuard no_gradients;
  Session(request).run();
  tell(JsonObject().text("event", "done").text("out", request.out));
}

}  // namespace ferry::replay
