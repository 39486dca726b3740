#include "formats/hdf5/listing.h"

#include <algorithm>
#include <unordered_set>

#include "formats/hdf5/listing_line.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {
namespace {

// Of two objects with one name different readers would take different ones.
class Names {
 public:
  void add(const Object& object) {
    std::string key = std::to_string(object.parent) + "/" + object.name;
    if (!seen_.insert(std::move(key)).second)
      throw Error(Code::duplicate_record, "two objects of one group have the same name");
  }

 private:
  std::unordered_set<std::string> seen_;
};

// A group that holds itself, at whatever depth, is no value that could be written down.
void check_no_cycle(const std::vector<Object>& objects, const Object& alias) {
  for (std::uint32_t group = alias.parent; group != kNoObject; group = objects[group].parent)
    if (group == alias.same) throw Error(Code::bad_hdf5, "the group holds itself: a link leads back to it");
}

// Plain payloads of different datasets share no byte.
void check_apart(const std::vector<Object>& objects) {
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < objects.size(); ++i)
    if (objects[i].kind == Object::Kind::dataset && objects[i].plain && objects[i].size > 0 &&
        objects[i].content != Object::Content::unreadable)
      order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return objects[a].offset < objects[b].offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const Object &before = objects[order[i - 1]], &after = objects[order[i]];
    if (before.offset + before.size > after.offset)
      throw Error(Code::bad_hdf5, "the data of " + path_of(objects, order[i - 1]) + " and of " +
                                      path_of(objects, order[i]) + " overlap")
          .at(after.offset);
  }
}

}  // namespace

const Attribute* Object::attribute(std::string_view attribute_name) const {
  for (const Attribute& candidate : attributes)
    if (candidate.name == attribute_name) return &candidate;
  return nullptr;
}

std::optional<std::string_view> Object::text_attribute(std::string_view attribute_name) const {
  const Attribute* found = attribute(attribute_name);
  if (found == nullptr || found->kind != Attribute::Kind::text || found->texts.size() != 1)
    return std::nullopt;
  return found->texts[0];
}

std::string path_of(const std::vector<Object>& objects, std::uint32_t index) {
  if (objects[index].parent == kNoObject) return "/";
  std::vector<std::uint32_t> parts;
  for (std::uint32_t at = index; objects[at].parent != kNoObject; at = objects[at].parent)
    parts.push_back(at);
  std::string path;
  for (std::size_t i = parts.size(); i-- > 0;) path += "/" + objects[parts[i]].name;
  return path;
}

std::vector<Object> read_listing(const std::function<std::string_view()>& next_line, std::uint64_t file_size,
                                 const Limits& limits) {
  std::vector<Object> objects;
  Names names;
  json::Rules rules;
  rules.broken = Code::internal;
  for (;;) {
    const json::Value line = json::parse(next_line(), rules);
    if (is_end(line)) break;
    if (objects.size() >= limits.records_max) throw Error(Code::limit_exceeded, "too many objects");
    objects.push_back(read_object(line, objects));
    Object& added = objects.back();
    try {
      names.add(added);
      read_details(line, added, file_size, limits);
      if (added.kind == Object::Kind::alias) check_no_cycle(objects, added);
    } catch (Error& error) {
      error.in("in " + quote(path_of(objects, static_cast<std::uint32_t>(objects.size() - 1))));
      throw;
    }
  }
  if (objects.empty() || objects[0].kind != Object::Kind::group) misunderstood("no root group");
  check_apart(objects);
  return objects;
}

}  // namespace ferry::hdf5
