// What a reader that salvages a broken file found damaged: storages whose bytes are not all there, or not
// those that were written.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "src/core/checkpoint.h"

namespace ferry::torch {

struct Losses {
  std::map<std::uint32_t, std::string> storages;  // by index into Checkpoint::storages: why it is lost
  std::string
      story;  // "17 of 20 storages are whole; the file breaks at byte 1,024"; empty: nothing is broken

  void add(std::uint32_t storage, std::string why) { storages.try_emplace(storage, std::move(why)); }
};

// Lost storages have no source from here on, nor have parts that are made of them.
inline void take_bytes_away(Checkpoint& checkpoint, const Losses& losses) {
  for (const auto& [storage, why] : losses.storages) checkpoint.storages[storage].bytes.source = nullptr;
}

}  // namespace ferry::torch
