// A checkpoint as torchferry holds it: values, and where the bytes of its storages lie.  No tensor byte has
// been read.
//
// A tensor is a window on a storage; a storage is a run of elements; a record is a named run of bytes in a
// container.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/core/bytes.h"
#include "src/core/dtype.h"
#include "src/core/finding.h"
#include "src/core/globals.h"
#include "src/core/value.h"

namespace ferry {

enum class Compression : std::uint8_t { stored, deflated };

// The bytes of one storage: where they are and how they are written down.
struct StorageBytes {
  SourcePtr source;
  std::uint64_t offset = 0;       // of the first byte in the source
  std::uint64_t stored_size = 0;  // bytes in the source
  std::uint64_t size = 0;         // bytes after inflating: numel × itemsize
  Compression compression = Compression::stored;
  bool big_endian = false;
  std::optional<std::uint32_t> crc;  // CRC-32 of the inflated bytes where the container has one
};

struct Storage {
  std::string key;  // as the container names it
  DType dtype = DType::uint8;
  bool untyped = false;      // an UntypedStorage: counted in bytes, read by several dtypes
  std::uint16_t device = 0;  // index into Checkpoint::devices
  std::int64_t numel = 0;    // elements; bytes when untyped
  StorageBytes bytes;        // of the whole storage
  // Byte ranges of the storage that are kept, in order and apart from each other; empty: all of it.  Tensors
  // of a compacted storage count their offset in what is kept; numel and bytes stay those of the whole.
  std::vector<ByteRange> parts;

  std::uint64_t kept_size() const;  // bytes that are written
};

inline constexpr std::uint32_t kNoStorage = 0xffffffff;  // of meta tensors

struct Tensor {
  std::uint32_t storage = kNoStorage;
  DType dtype = DType::float32;
  bool requires_grad = false;
  bool parameter = false;
  bool conjugated = false;  // lazy bits of views, as torch keeps them
  bool negated = false;
  std::uint16_t rank = 0;
  std::uint32_t dims = 0;  // first of 2 × rank numbers in Checkpoint::dims: sizes, then strides, in elements
  std::int64_t offset = 0;  // elements from the start of the storage
};

// A remark about a value, made where it was understood; the path is found when the report is written.
struct Note {
  NodeId node;
  Code code;
  std::string what;
};

// A module of an object that was pickled whole: its class and plain attributes, of which a person can build
// it again.  Names and values are nodes of the graph, as they were pickled.
struct ModuleInfo {
  NodeId object;           // the state_dict that the whole object became
  std::string path;        // of the module in the object: "", "layer1.0.conv1"
  std::string class_name;  // "torch.nn.modules.conv.Conv2d"
  std::vector<std::pair<NodeId, NodeId>> attributes;
};

// The source of a class, which torch.save puts into a legacy stream beside a whole module.
struct ClassSource {
  std::string class_name, file;
  NodeId text;
};

// A named run of bytes of the container, for `inspect --offsets`.
struct RecordInfo {
  std::string name;
  std::uint64_t offset = 0, size = 0, stored_size = 0;
  std::uint32_t crc = 0;
};

// What is known of the container and the writer: the evidence for a fingerprint.
struct Container {
  std::string format;                  // "torch zip", "legacy stream"
  std::string root_folder;             // of a zip; may be empty
  std::string storage_folder;          // "data" or "tensors" (1.4 only)
  std::optional<std::string> version;  // of the version record, "3"
  std::optional<std::string> byte_order;
  bool format_version = false, storage_alignment = false, serialization_id = false;  // extra records
  bool data_descriptors = false;
  std::string python;  // "2" or "3" where the pickle tells
  std::uint8_t protocol = 0;
  std::uint64_t pickle_size = 0;
  std::array<std::uint32_t, 256> opcodes{};
  bool numbered_keys = false;  // storage keys are 0, 1, 2 …
  bool checksums = false;
  // What torchferry's own record says of the conversion that made the file: JSON as it stands there, of a zip
  // of torch, a safetensors or an HDF5 file; empty where there is none.
  std::string provenance;
  std::vector<RecordInfo> records;  // of the whole file; empty without Limits::list_records
};

struct Checkpoint {
  SourcePtr source;
  Container container;
  ValueGraph values;
  GlobalLog globals;
  std::vector<Storage> storages;
  std::vector<Tensor> tensors;
  std::vector<std::int64_t> dims;
  std::vector<std::string> devices{"cpu"};
  std::vector<Note> notes;
  std::vector<ModuleInfo> modules;  // of each whole object its own first, then as state_dict() goes
  std::vector<ClassSource> class_sources;
  std::size_t nested = 0;  // checkpoints that lay inside its pickles as bytes

  std::span<const std::int64_t> shape(const Tensor& t) const {
    return std::span(dims).subspan(t.dims, t.rank);
  }
  std::span<const std::int64_t> strides(const Tensor& t) const {
    return std::span(dims).subspan(t.dims + t.rank, t.rank);
  }
  std::uint32_t add_dims(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides);
  std::uint16_t device_index(std::string_view name);
  // Adds a tensor over a storage of its own, contiguous or in Fortran order; returns its index.
  std::uint32_t add_tensor(DType dtype, std::span<const std::int64_t> shape, StorageBytes bytes, bool fortran,
                           std::string name);
  // The same over bytes in memory.
  std::uint32_t add_tensor(DType dtype, std::span<const std::int64_t> shape, std::vector<std::byte> bytes,
                           bool fortran, std::string name);
  // Forgets the values that reading left behind: what tensors were made of, and the pickle.  Every NodeId
  // from before means nothing after it; those that the checkpoint itself holds are brought up to date.
  void forget_unreachable();
  void note(NodeId node, Code code, std::string what) { notes.push_back({node, code, std::move(what)}); }
};

// Elements of a tensor; its shape was checked when it was made.
std::int64_t numel(const Checkpoint& checkpoint, const Tensor& tensor);
bool is_contiguous(const Checkpoint& checkpoint, const Tensor& tensor);

}  // namespace ferry
