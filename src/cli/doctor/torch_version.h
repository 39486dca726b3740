// What torch/version.py says, read as text: no Python is run and no torch is imported.
//
//   __version__ = '2.3.1+cu121'            1.0: __version__, debug, cuda
//   debug = False                          1.1: + git_version (u'…' from Python 2)
//   cuda: Optional[str] = '12.1'           1.4: + hip (None in every build that is not for ROCm)
//   git_version = '…'                      2.0: annotated, with __all__
//   hip: Optional[str] = None              2.6: + xpu; 2.10: + rocm
//
// A build is for ROCm when `hip` or `rocm` has a value; that the name exists says nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::doctor {

enum class Build : std::uint8_t { cpu, cuda, rocm, xpu, unknown };
std::string_view build_name(Build build);

struct TorchVersion {
  std::optional<std::string> version, cuda, hip, rocm, xpu, git_version;  // texts, where they are texts
  bool says_devices = false;  // whether `cuda` was assigned a text or None at all
};

// Assignments of texts and None at the beginning of a line; the last one counts, as in Python.
TorchVersion read_torch_version(std::string_view source);

// The kind of build: from the values of version.py, or where they are missing from the local part of the
// version (2.3.1+cu121, +rocm6.0, +cpu).
Build build_of(const TorchVersion& torch, std::string_view version);

// "12.1": of a CUDA build, from `cuda` or +cu121.  Nothing when neither says it.
std::optional<std::string> cuda_of(const TorchVersion& torch, std::string_view version);
// "6.0": of a ROCm build, from `rocm`, +rocm6.0, or the first two numbers of `hip`, which were those of ROCm
// until builds said both (ROCm 10.0 brings HIP 7.15).
std::optional<std::string> rocm_of(const TorchVersion& torch, std::string_view version);

}  // namespace ferry::doctor
