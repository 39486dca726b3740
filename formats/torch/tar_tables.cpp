#include "formats/torch/tar_tables.h"

#include <algorithm>
#include <array>

#include "formats/pickle/scan.h"
#include "formats/torch/program.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

constexpr std::uint64_t kEntryMax = 4096;  // bytes of the pickle of one row: three short values

[[noreturn]] void fail(Code code, const std::string& what, std::uint64_t at) {
  throw Error(code, what).at(at);
}

// The storage class of a type of tensors: torch.FloatTensor → that of torch.FloatStorage.
DType dtype_of_tensor_class(std::string_view name) {
  if (!name.ends_with("Tensor")) return DType::float32;
  const auto known = find_global("torch", std::string(name.substr(0, name.size() - 6)) + "Storage");
  return known && known->dtype ? *known->dtype : DType::float32;
}

}  // namespace

std::optional<std::string> tar_number(const ValueGraph& graph, NodeId id) {
  if (graph.kind(id) == Kind::integer || graph.kind(id) == Kind::big_integer) return graph.integer_text(id);
  const auto text = graph.as_text(id);
  if (!text || text->empty() || text->size() > 40 ||
      !std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return std::string(text->substr(std::min(text->find_first_not_of('0'), text->size() - 1)));
}

struct TarTables::Entry {
  pickle::Decoded decoded;
  std::uint64_t begin;

  const ValueGraph& graph() const { return decoded.graph; }
  std::span<const NodeId> parts() const {
    return graph().kind(graph().root()) == Kind::tuple ? graph().items(graph().root())
                                                       : std::span<const NodeId>();
  }
};

TarTables::Entry TarTables::read_entry(const ByteSource& part, std::uint64_t& at, const char* what) {
  try {
    const auto size = pickle::find_program_size(part, at, kEntryMax);
    const std::uint64_t left = part.size() - std::min(at, part.size());
    if (left == 0) throw Error(Code::truncated, "the member ends before it");
    auto bytes = part.read({at, size.value_or(std::min(left, kEntryMax))});
    Entry entry{decode_program(std::make_shared<const std::vector<std::byte>>(std::move(bytes)), 0,
                               checkpoint_.globals),
                at};
    at += entry.decoded.size;
    return entry;
  } catch (Error& error) {
    error.in("of the pickle of " + std::string(what) + ", which starts at byte " + std::to_string(at));
    throw;
  }
}

std::int64_t TarTables::read_count(const ByteSource& part, std::uint64_t& at, const char* what) {
  const Entry entry = read_entry(part, at, what);
  const auto count = entry.graph().as_integer(entry.graph().root());
  if (!count || *count < 0) fail(Code::bad_tar, std::string(what) + " is no count", entry.begin);
  return *count;
}

void TarTables::add(std::string number, TarObject object, std::uint64_t at) {
  if (!objects_.try_emplace(number, object).second)
    fail(Code::bad_tar, "two storages or tensors have the number " + number, at);
}

const TarObject* TarTables::find(const std::string& number) const {
  const auto found = objects_.find(number);
  return found == objects_.end() ? nullptr : &found->second;
}

// --- storages

void TarTables::read_storages(const ByteSource& part, std::uint64_t begin) {
  std::uint64_t at = 0;
  try {
    const std::int64_t count = read_count(part, at, "the number of storages");
    for (std::int64_t i = 0; i < count; ++i) read_storage(part, begin, at);
    if (at < part.size()) read_views(part, at);  // the first writers, and other programs, have no views
  } catch (const Error& error) {
    // What follows a storage that is cut cannot be found; that it is missing shows when a tensor needs it.
    if (losses_ == nullptr || error.fault() != Fault::corrupt) throw;
  }
}

// (number, location, type), or (number, type) before there were locations; the number of elements; elements.
void TarTables::read_storage(const ByteSource& part, std::uint64_t begin, std::uint64_t& at) {
  const Entry entry = read_entry(part, at, "a storage");
  const ValueGraph& graph = entry.graph();
  const auto parts = entry.parts();
  if (parts.size() != 2 && parts.size() != 3)
    fail(Code::bad_tar, "a storage is described by no tuple of number, location and type", entry.begin);
  const auto number = tar_number(graph, parts[0]);
  if (!number) fail(Code::bad_tar, "a storage has no number", entry.begin);
  const NodeId type = parts.back();
  const auto known = graph.kind(type) == Kind::global
                         ? find_global(graph.text(graph.module(type)), graph.text(graph.attribute(type)))
                         : std::nullopt;
  if (!known || known->role != Role::storage_type)
    fail(Code::bad_storage, "storage " + *number + " is of an unknown type", entry.begin);
  const auto location = parts.size() == 3                                ? graph.as_text(parts[1])
                        : graph.text(graph.module(type)) == "torch.cuda" ? "cuda"
                                                                         : "cpu";
  if (!location) fail(Code::bad_storage, "the location of storage " + *number + " is no text", entry.begin);

  std::array<std::byte, 8> count;
  try {
    part.read_at(at, count);
  } catch (Error& error) {
    throw std::move(error.in("in the size of storage " + *number));
  }
  Storage storage;
  storage.key = *number;
  storage.dtype = *known->dtype;
  storage.numel = load_le<std::int64_t>(count.data());
  storage.device = checkpoint_.device_index(*location);
  const auto size = storage.numel < 0 ? std::nullopt : storage_size(storage);
  if (!size)
    fail(Code::bad_storage,
         "storage " + *number + " has an impossible size, " + std::to_string(storage.numel), at);
  at += count.size();
  storage.bytes.source = checkpoint_.source;
  storage.bytes.offset = begin + at;
  storage.bytes.size = storage.bytes.stored_size = *size;
  const std::int64_t numel = storage.numel;
  const std::uint32_t index = storages_.add_storage(std::move(storage));
  add(*number, {TarObject::Kind::storage, storages_.add_view({index, 0, numel})}, entry.begin);
  checkpoint_.container.records.push_back({*number, begin + at, *size, *size, 0});
  if (!fits(at, *size, part.size())) {
    const std::string what = "storage " + *number + " has " + std::to_string(*size) + " bytes where " +
                             std::to_string(part.size() - at) + " are left";
    if (losses_ == nullptr) fail(Code::truncated, what, at);
    losses_->add(index, what);
    at = part.size();
    return;
  }
  at += *size;
}

// [(number, number of its root, offset, size)], in elements.
void TarTables::read_views(const ByteSource& part, std::uint64_t& at) {
  pickle::Decoded list;
  try {
    list = decode_program_at(part, at, limits_, checkpoint_.globals);
  } catch (Error& error) {
    error.in("of the pickle of the views of storages, which starts at byte " + std::to_string(at));
    throw;
  }
  const ValueGraph& graph = list.graph;
  if (graph.kind(graph.root()) != Kind::list) fail(Code::bad_tar, "the views of storages are no list", at);
  for (const NodeId item : graph.items(graph.root())) {
    const auto parts = graph.items(item);
    if (graph.kind(item) != Kind::tuple || parts.size() != 4)
      fail(Code::bad_tar, "the view of a storage is no tuple of two numbers, offset and size", at);
    const auto number = tar_number(graph, parts[0]), root = tar_number(graph, parts[1]);
    const auto offset = graph.as_integer(parts[2]), size = graph.as_integer(parts[3]);
    if (!number || !root || !offset || !size)
      fail(Code::bad_tar, "the view of a storage holds no numbers", at);
    const TarObject* of = find(*root);
    if (of == nullptr || of->kind != TarObject::Kind::storage)
      fail(Code::bad_storage, "storage " + *number + " is a view of " + *root + ", which is no storage", at);
    const StorageView whole = storages_.views()[of->index];
    if (*offset < 0 || *size < 0 ||
        !fits(static_cast<std::uint64_t>(*offset), static_cast<std::uint64_t>(*size),
              static_cast<std::uint64_t>(whole.numel)))
      fail(Code::bad_storage,
           "a view of " + std::to_string(*size) + " elements at " + std::to_string(*offset) +
               " lies outside storage " + *root + " of " + std::to_string(whole.numel),
           at);
    add(*number,
        {TarObject::Kind::storage, storages_.add_view({whole.storage, whole.offset + *offset, *size})}, at);
  }
  at += list.size;
}

// --- tensors

void TarTables::read_tensors(const ByteSource& part) {
  std::uint64_t at = 0;
  const std::int64_t count = read_count(part, at, "the number of tensors");
  for (std::int64_t i = 0; i < count; ++i) read_tensor(part, at);
  if (at < part.size())
    checkpoint_.note(
        checkpoint_.values.root(), Code::trailing_bytes,
        std::to_string(part.size() - at) + " bytes follow the last tensor in the table of tensors");
}

// (number, number of its storage or None, type), the last two in the other order in the first releases; int32
// dimensions, 4 bytes that mean nothing, int64 sizes, strides and offset.
void TarTables::read_tensor(const ByteSource& part, std::uint64_t& at) {
  const Entry entry = read_entry(part, at, "a tensor");
  const ValueGraph& graph = entry.graph();
  const auto parts = entry.parts();
  if (parts.size() != 3)
    fail(Code::bad_tar, "a tensor is described by no tuple of its number, its storage and its type",
         entry.begin);
  const bool type_first = graph.kind(parts[1]) == Kind::global;
  const NodeId type = parts[type_first ? 1 : 2], owner = parts[type_first ? 2 : 1];
  const auto number = tar_number(graph, parts[0]), of = tar_number(graph, owner);
  if (!number) fail(Code::bad_tar, "a tensor has no number", entry.begin);
  if (!of && graph.kind(owner) != Kind::none)
    fail(Code::bad_tar, "the storage of tensor " + *number + " has no number", entry.begin);
  const auto dtype =
      dtype_of_tensor_class(graph.kind(type) == Kind::global ? graph.text(graph.attribute(type)) : "");

  std::array<std::byte, 8> head;
  part.read_at(at, head);
  const auto rank = load_le<std::int32_t>(head.data());
  if (rank < 0 || static_cast<std::uint64_t>(rank) > limits_.rank_max)
    fail(Code::bad_tensor, "tensor " + *number + " has " + std::to_string(rank) + " dimensions", at);
  at += head.size();
  const std::uint64_t count = 2 * static_cast<std::uint64_t>(rank) + 1;
  const auto bytes = part.read({at, 8 * count});
  std::vector<std::int64_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = load_le<std::int64_t>(&bytes[8 * i]);
  std::vector<std::int64_t> shape(numbers.begin(), numbers.begin() + rank),
      strides(numbers.begin() + rank, numbers.end() - 1);
  const std::int64_t offset = numbers.back();

  StorageView view{0, 0, 0};
  bool missing = false;
  if (!of) {
    Storage none;
    none.key = "of " + *number;
    none.dtype = dtype;
    none.bytes.source = checkpoint_.source;
    view.storage = storages_.add_storage(std::move(none));
  } else if (const TarObject* object = find(*of);
             object != nullptr && object->kind == TarObject::Kind::storage) {
    view = storages_.views()[object->index];
    missing = losses_ != nullptr && losses_->storages.contains(view.storage);
  } else if (object == nullptr && losses_ != nullptr) {
    view = storages_.views()[view_of_missing(*of, dtype)];
    missing = true;
  } else {
    fail(Code::bad_storage, "tensor " + *number + " lies in storage " + *of + ", which is not in the archive",
         at);
  }
  // Before 0.4 a tensor without dimensions had no elements; where there is a number, it is that number.
  if (rank == 0 && view.numel == 0) {
    shape = {0};
    strides = {1};
  }
  const auto extent = checked_extent(shape, strides, offset);
  if (!extent || (*extent > view.numel && !missing && checked_numel(shape) != 0))
    fail(Code::bad_tensor,
         "tensor " + *number + " reaches outside its storage of " + std::to_string(view.numel) + " elements",
         at);
  at += 8 * count;

  Tensor tensor;
  tensor.storage = view.storage;
  tensor.dtype = checkpoint_.storages[view.storage].dtype;
  tensor.rank = static_cast<std::uint16_t>(shape.size());
  tensor.dims = checkpoint_.add_dims(shape, strides);
  tensor.offset = view.offset + offset;
  checkpoint_.tensors.push_back(tensor);
  add(*number, {TarObject::Kind::tensor, static_cast<std::uint32_t>(checkpoint_.tensors.size() - 1)},
      entry.begin);
}

// A storage that lies behind the place where the archive breaks.
std::uint32_t TarTables::view_of_missing(const std::string& number, DType dtype) {
  Storage storage;
  storage.key = number;
  storage.dtype = dtype;
  storage.bytes.source = checkpoint_.source;
  const std::uint32_t index = storages_.add_storage(std::move(storage));
  losses_->add(index, "storage " + number + " lies behind the place where the file breaks");
  const std::uint32_t view = storages_.add_view({index, 0, 0});
  add(number, {TarObject::Kind::storage, view}, 0);
  return view;
}

}  // namespace ferry::torch
