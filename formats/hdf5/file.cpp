#include "formats/hdf5/file.h"

#include <algorithm>

#include "formats/hdf5/session.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {

File File::open(SourcePtr source, const Limits& limits) {
  File file;
  file.source_ = std::move(source);
  file.session_ = std::make_shared<Session>(*file.source_, limits);
  file.objects_ = read_listing([&] { return file.session_->next_line(); }, file.source_->size(), limits);
  const bool all_plain = std::all_of(file.objects_.begin(), file.objects_.end(),
                                     [](const Object& object) { return object.plain; });
  if (all_plain) file.session_->finish();
  return file;
}

const Object* File::find(std::string_view path) const {
  std::uint32_t at = 0;
  while (!path.empty()) {
    const std::size_t begin = path.find_first_not_of('/');
    if (begin == std::string_view::npos) break;
    path.remove_prefix(begin);
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    const auto child = std::find_if(objects_.begin(), objects_.end(), [&](const Object& object) {
      return object.parent == at && object.name == name;
    });
    if (child == objects_.end()) return nullptr;
    at = child->kind == Object::Kind::alias ? child->same
                                            : static_cast<std::uint32_t>(child - objects_.begin());
  }
  return &objects_[at];
}

std::string File::path_of(const Object& object) const {
  return hdf5::path_of(objects_, static_cast<std::uint32_t>(&object - objects_.data()));
}

Payload File::payload(const Object& dataset) const {
  if (dataset.content != Object::Content::tensor && dataset.content != Object::Content::table)
    throw Error(Code::internal, "no payload to read").in("in " + quote(path_of(dataset)));
  if (dataset.size == 0)
    return {std::make_shared<MemorySource>(path_of(dataset), std::vector<std::byte>()), 0, 0};
  if (dataset.plain) return {source_, dataset.offset, dataset.size};
  return {fetched_source(session_, path_of(dataset), dataset.address, dataset.size), 0, dataset.size};
}

std::vector<std::byte> File::read(const Object& dataset, std::uint64_t size_max) const {
  if (dataset.size > size_max)
    throw Error(Code::limit_exceeded,
                "the dataset has " + iec_size(dataset.size) + ", more than " + iec_size(size_max))
        .in("in " + quote(path_of(dataset)));
  const Payload place = payload(dataset);
  return place.source->read({place.offset, place.size});
}

}  // namespace ferry::hdf5
