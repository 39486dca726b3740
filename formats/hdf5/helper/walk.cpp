#include "formats/hdf5/helper/walk.h"

#include <string>
#include <unordered_map>
#include <vector>

#include "formats/hdf5/helper/describe.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5::helper {
namespace {

using protocol::LineWriter;

struct Link {
  std::string name;
  H5L_type_t type;
  haddr_t address;  // of a hard link
};

struct Links {
  std::vector<Link> found;
  std::uint64_t room = 0;
  bool too_many = false;
};

// A callback of C: what it would throw is told by its status instead.
herr_t collect_link(hid_t, const char* name, const H5L_info_t* info, void* out) {
  try {
    auto& links = *static_cast<Links*>(out);
    links.too_many = links.found.size() >= links.room;
    if (links.too_many) return -1;
    links.found.push_back({name, info->type, info->type == H5L_TYPE_HARD ? info->u.address : HADDR_UNDEF});
    return 0;
  } catch (const std::exception&) {
    return -1;
  }
}

// The order of creation where the file knows it, else that of the names, as h5py lists them.
H5_index_t order_of(hid_t group) {
  unsigned flags = 0;
  const Handle properties = own(H5Gget_create_plist(group), "read the properties of a group");
  check(H5Pget_link_creation_order(properties.get(), &flags), "read the properties of a group");
  return (flags & H5P_CRT_ORDER_TRACKED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

// Old groups are trees sorted by name: names out of order mean that the tree or the heap of names is damaged,
// which the library does not notice when it lists (nor when it reads a name past the end of the heap).
void check_order(const std::vector<Link>& links) {
  for (std::size_t i = 1; i < links.size(); ++i)
    if (links[i].name <= links[i - 1].name)
      throw Error(Code::bad_hdf5, "the names in a group are not in order: " + quote(links[i].name) +
                                      " follows " + quote(links[i - 1].name));
}

class Walk {
 public:
  Walk(hid_t file, const WalkLimits& limits, const std::function<void(std::string_view)>& tell)
      : file_(file), limits_(limits), tell_(tell) {}

  void run() {
    const Handle root = own(H5Gopen2(file_, "/", H5P_DEFAULT), "open the root group");
    H5O_info_t about;
    check(H5Oget_info2(root.get(), &about, H5O_INFO_BASIC), "open the root group");
    LineWriter line;
    tell_object(root.get(), about.addr, line);
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.next == level.links.size())
        levels_.pop_back();
      else
        follow(level.line, level.links[level.next++]);
    }
  }

 private:
  struct Level {
    std::uint64_t line;  // of the group
    std::vector<Link> links;
    std::size_t next = 0;
  };

  std::string place() const {
    std::string path;
    for (std::size_t i = 0; i < levels_.size(); ++i) path += "/" + levels_[i].links[levels_[i].next - 1].name;
    return path.empty() ? "the root group" : quote(path);
  }

  void put(LineWriter& line) {
    if (lines_ == limits_.objects_max)
      throw Error(Code::limit_exceeded, "more than " + std::to_string(lines_) + " objects");
    tell_(line.finish());
    ++lines_;
  }

  // `parent` is the line of the group; by value, since levels move.
  void follow(std::uint64_t parent, Link link) {
    if (!is_utf8(link.name, false))
      throw Error(Code::bad_hdf5, "a name that is no UTF-8").in("below " + place());
    LineWriter line;
    line.key("in").natural(parent).key("name").text(link.name);
    try {
      if (link.type != H5L_TYPE_HARD) return tell_link(link.type, line);
      if (const auto known = seen_.find(link.address); known != seen_.end()) {
        line.key("kind").text("alias").key("same").natural(known->second);
        return put(line);
      }
      const Handle object = own(H5Oopen_by_addr(file_, link.address), "open an object");
      tell_object(object.get(), link.address, line);
    } catch (Error& error) {
      if (error.where().empty()) error.in("in " + place());
      throw;
    }
  }

  void tell_link(H5L_type_t type, LineWriter& line) {
    const char* what = type == H5L_TYPE_SOFT       ? "a soft link"
                       : type == H5L_TYPE_EXTERNAL ? "a link to another file"
                                                   : "a link of an unknown kind";
    line.key("kind").text("link").key("reason").text(what);
    put(line);
  }

  void tell_object(hid_t object, haddr_t address, LineWriter& line) {
    seen_.emplace(address, lines_);
    line.key("address").natural(address);
    const H5I_type_t type = H5Iget_type(object);
    if (type == H5I_DATASET) {
      line.key("kind").text("dataset");
      describe_dataset(object, line);
    } else if (type == H5I_GROUP) {
      line.key("kind").text("group");
    } else {
      line.key("kind").text("link").key("reason").text("a named type");
      return put(line);
    }
    describe_attributes(object, line);
    put(line);
    if (type == H5I_GROUP) enter(object);
  }

  void enter(hid_t group) {
    if (levels_.size() == limits_.depth_max)
      throw Error(Code::too_deep,
                  "groups are nested more than " + std::to_string(limits_.depth_max) + " deep");
    Links links;
    links.room = limits_.objects_max - lines_;
    hsize_t begin = 0;
    const H5_index_t order = order_of(group);
    const herr_t status = H5Literate(group, order, H5_ITER_INC, &begin, collect_link, &links);
    if (links.too_many)
      throw Error(Code::limit_exceeded, "more than " + std::to_string(limits_.objects_max) + " objects");
    check(status, "list a group");
    if (order == H5_INDEX_NAME) check_order(links.found);
    levels_.push_back({lines_ - 1, std::move(links.found)});
  }

  hid_t file_;
  const WalkLimits& limits_;
  const std::function<void(std::string_view)>& tell_;
  std::vector<Level> levels_;
  std::unordered_map<haddr_t, std::uint64_t> seen_;
  std::uint64_t lines_ = 0;
};

}  // namespace

void walk(hid_t file, const WalkLimits& limits, const std::function<void(std::string_view)>& tell) {
  Walk(file, limits, tell).run();
}

}  // namespace ferry::hdf5::helper
