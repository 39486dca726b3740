// Names and texts of the records that the writer makes by itself; shared by plan, writer and verifier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "formats/torch/write.h"

namespace ferry::torch {

inline constexpr const char* kPickleRecord = "archive/data.pkl";
// 40 decimal digits that torch shows as the identity of a file; made of the content here, so that equal
// content has equal identity (torch/csrc: PyTorchStreamWriter::writeSerializationId hashes names and CRCs
// likewise).
inline constexpr const char* kIdentityRecord = "archive/.data/serialization_id";
inline constexpr std::size_t kIdentityDigits = 40;
// Which source this file was made from; torch ignores records that no storage names.
inline constexpr const char* kProvenanceRecord = "archive/.data/torchferry.json";

// Fixed in size for a given provenance and source size: the hash always has 32 digits.
std::string provenance_text(const Provenance& provenance, std::uint64_t source_size,
                            std::string_view source_hash);

}  // namespace ferry::torch
