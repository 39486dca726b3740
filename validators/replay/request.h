// What torchferry-replay is asked to do: one line of JSON on its standard input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::replay {

inline constexpr std::string_view kProtocol = "torchferry-replay/1";

enum class ModelKind : std::uint8_t { pt2, torchscript };
enum class Taps : std::uint8_t { none, modules, operations };

struct Request {
  std::string model;
  ModelKind kind = ModelKind::pt2;
  std::string weights;  // a checkpoint whose tensors replace the model's own; empty: none
  std::string select;   // the part of it that holds them; empty: the one that fits
  bool clean = true;    // bring the checkpoint into the layout of 2.x first
  std::string golden;   // its inputs are run
  std::string out;
  std::string device = "auto";
  std::vector<std::string> runs{"f32", "f64"};
  Taps taps = Taps::none;
  std::uint32_t samples = 1024;
  std::uint32_t threads = 1;  // 0: as LibTorch likes
  std::uint32_t repeats = 1;
  std::optional<std::vector<std::size_t>> cases;  // indices; nothing: all
  std::uint64_t memory_mib = 0, seconds = 0;      // limits; 0: none
};

// Throws Code::bad_usage for anything that is missing, unknown or of another kind.
Request read_request(std::string_view line);

}  // namespace ferry::replay
