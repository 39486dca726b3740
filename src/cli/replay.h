// `torchferry replay`: a model of 2.x is given the inputs of a golden, and what it answers is recorded.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ferry::cli {

struct ReplayRequest {
  std::string model;    // torch.export archive (.pt2) or TorchScript file
  std::string golden;   // its inputs are run
  std::string out;      // the golden that is written, npz
  std::string weights;  // a checkpoint whose tensors replace the model's; empty: none
  std::string select;   // the part of it that holds them
  bool keep_layout = false;
  std::string device = "auto";  // auto, cpu, cuda
  std::vector<std::string> runs{
      "f32", "f64"};             // f32 f64 tf32-rne tf32-rz bf16 fp16 autocast-bf16 autocast-fp16 tf32
  std::string taps = "none";     // none, modules, ops
  std::uint32_t samples = 1024;  // kept of larger tensors; 0: all
  std::uint32_t threads = 1;     // 0: as many as LibTorch likes
  std::uint32_t repeats = 1;
  std::vector<std::size_t> cases;             // empty: all
  std::uint64_t memory_mib = 0, seconds = 0;  // limits of the process; 0: none
};

struct ReplayRun {
  std::size_t case_index = 0;
  std::string run;
  double seconds = 0;  // of the fastest forward pass; 0 where none was timed
  std::string error;   // why it failed; empty: it did not
};

struct ReplayOutcome {
  std::string torch, device;  // "2.13.0", "cpu"
  std::string weights_path;   // the state_dict in the checkpoint whose tensors were taken
  std::vector<ReplayRun> runs;
};

// Called after every run.
using ReplayProgress = std::function<void(const ReplayRun&)>;

// Starts torchferry-replay and waits for it.  Throws Code::helper_missing when it is not there, the error
// that it reported, or one that says how it died; a single run that fails is no error but a ReplayRun.
ReplayOutcome run_replay(const ReplayRequest& request, const ReplayProgress& progress);

struct ReplayOptions {
  ReplayRequest request;
  // Instead of a model: a Python factory, run by the recorder in a Python of the new environment.
  std::string factory;             // "pkg.mod:build" or "net.py:build"
  std::string kwargs;              // of the factory, JSON
  std::string python = "python3";  // has the new PyTorch
  bool force = false;              // replace an existing recording
  bool json = false;
};

// Prints to stdout; returns 0, or 2 when a run failed.
int run_replay_verb(const ReplayOptions& options);

}  // namespace ferry::cli
