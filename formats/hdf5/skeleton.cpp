#include "formats/hdf5/skeleton.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>

#include "formats/hdf5/process.h"
#include "formats/hdf5/protocol.h"
#include "formats/hdf5/spool.h"
#include "formats/json/json.h"
#include "src/core/checked.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5 {
namespace {

using protocol::LineWriter;

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kStringMax = 1 << 20;

std::string path_text(std::span<const std::string> path) {
  std::string text;
  for (const std::string& name : path) text += "/" + name;
  return quote(text.empty() ? "/" : text);
}

void check_name(const std::string& name) {
  const bool odd = name.empty() || name == "." || name.find('/') != std::string::npos ||
                   name.find('\0') != std::string::npos || !is_utf8(name, false);
  if (odd) throw Error(Code::unsupported_value, "an HDF5 file cannot hold the name " + quote(name));
}

// --- What is told to the helper

void tell_shape(std::span<const std::int64_t> shape, LineWriter& line) {
  line.key("shape").begin('[');
  for (const std::int64_t dim : shape) line.integer(dim);
  line.end(']');
}

// The shortest text that std::from_chars reads back exactly.
std::string exact_text(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

void tell_attribute(const Attribute& attribute, LineWriter& line) {
  check_name(attribute.name);
  line.begin('{').key("name").text(attribute.name).key("kind");
  switch (attribute.kind) {
    case Attribute::Kind::text:
      line.text("text").key("values").begin('[');
      for (const std::string& text : attribute.texts) line.text(text);
      break;
    case Attribute::Kind::real:
      line.text("real").key("values").begin('[');
      for (const double value : attribute.reals) line.text(exact_text(value));
      break;
    case Attribute::Kind::boolean:
      line.text("boolean").key("values").begin('[');
      for (const std::int64_t value : attribute.integers) line.boolean(value != 0);
      break;
    case Attribute::Kind::integer:
      line.text("integer").key("values").begin('[');
      for (const std::int64_t value : attribute.integers) line.integer(value);
      break;
    default:
      throw Error(Code::unsupported_value, "attribute " + quote(attribute.name) + " has no value");
  }
  line.end(']');
  tell_shape(attribute.shape, line);
  line.end('}');
}

void tell_attributes(const ObjectSpec& object, LineWriter& line) {
  if (object.attributes.empty()) return;
  line.key("attributes").begin('[');
  for (const Attribute& attribute : object.attributes) tell_attribute(attribute, line);
  line.end(']');
}

void tell_dataset(const ObjectSpec& object, LineWriter& line) {
  line.key("kind").text("dataset").key("type").text(object.type);
  tell_shape(object.shape, line);
  if (object.type != "table") return;
  line.key("columns").begin('[');
  for (const ColumnSpec& column : object.columns)
    line.begin('{').key("name").text(column.name).key("type").text(column.type).end('}');
  line.end(']');
}

std::uint64_t payload_size(const ObjectSpec& object) {
  if (object.type.empty()) return 0;
  const std::uint64_t itemsize =
      object.type == "table" ? row_size(object.columns) : element_size(object.type);
  const auto numel = checked_numel(object.shape);
  const auto size = numel ? checked_mul(static_cast<std::uint64_t>(*numel), itemsize) : std::nullopt;
  if (!size || *size > INT64_MAX)
    throw Error(Code::limit_exceeded, "a dataset of more bytes than a file can have");
  return *size;
}

// The lines that describe all objects: groups are numbered as they are made, and named by their number.
class Description {
 public:
  explicit Description(std::span<const ObjectSpec> objects) {
    groups_.emplace(std::vector<std::string>(), 0);
    LineWriter root;
    root.key("kind").text("group");
    for (const ObjectSpec& object : objects)
      if (object.path.empty()) tell_attributes(object, root);
    text_ = root.finish();
    for (const ObjectSpec& object : objects) {
      if (object.path.empty()) continue;
      try {
        add(object);
      } catch (Error& error) {
        error.in("in " + path_text(object.path));
        throw;
      }
    }
  }
  const std::string& text() const { return text_; }

 private:
  void add(const ObjectSpec& object) {
    std::vector<std::string> parent(object.path.begin(), object.path.end() - 1);
    const std::uint64_t group = number_of(parent);
    check_name(object.path.back());
    LineWriter line;
    line.key("in").natural(group).key("name").text(object.path.back());
    const bool is_group = object.type.empty();
    if (is_group)
      line.key("kind").text("group");
    else
      tell_dataset(object, line);
    tell_attributes(object, line);
    const bool is_new =
        is_group ? groups_.emplace(object.path, groups_.size()).second && !datasets_.contains(object.path)
                 : datasets_.emplace(object.path, 0).second && !groups_.contains(object.path);
    if (!is_new) throw Error(Code::duplicate_record, "two objects have the same name");
    text_ += line.finish();
  }

  // The group with this path, made with all above it when it is not there.
  std::uint64_t number_of(const std::vector<std::string>& path) {
    std::uint64_t number = 0;
    std::vector<std::string> way;
    for (const std::string& name : path) {
      way.push_back(name);
      const auto [at, is_new] = groups_.emplace(way, groups_.size());
      if (is_new) {
        check_name(name);
        if (datasets_.contains(way))
          throw Error(Code::duplicate_record, "a dataset stands where a group should");
        LineWriter line;
        line.key("in").natural(number).key("name").text(name).key("kind").text("group");
        text_ += line.finish();
      }
      number = at->second;
    }
    return number;
  }

  std::map<std::vector<std::string>, std::uint64_t> groups_, datasets_;
  std::string text_;
};

// --- What the helper answers

ByteRange read_place(Process& helper, std::uint64_t expected) {
  const json::Value line = json::parse(helper.read_line());
  const json::Value *offset = line.find("offset"), *size = line.find("size");
  if (offset == nullptr || size == nullptr || !offset->natural() || size->natural() != expected)
    throw Error(Code::internal,
                "the program that makes HDF5 files gave a dataset another size than was asked");
  return {*offset->natural(), expected};
}

// The places of all payloads, after the helper has made `file`.
std::vector<ByteRange> ask_helper(std::span<const ObjectSpec> objects, const std::string& description,
                                  int file) {
  Allowance allowance;
  allowance.seconds = 60 + objects.size() / 1000;
  allowance.silence_seconds = 10 * allowance.seconds;  // it answers when it has made everything
  std::vector<std::uint64_t> sizes;
  for (const ObjectSpec& object : objects) sizes.push_back(payload_size(object));
  Process helper(protocol::kSkeleton, file, allowance);
  helper.send(description);
  helper.finish_sending();
  std::vector<ByteRange> places;
  for (std::size_t i = 0; i < objects.size(); ++i)
    places.push_back(objects[i].type.empty() ? ByteRange{} : read_place(helper, sizes[i]));
  if (json::parse(helper.read_line()).find("end") == nullptr)
    throw Error(Code::internal, "the program that makes HDF5 files said more than was asked");
  return places;
}

// Payloads in the order of the file: inside it, apart, and aligned unless they are tiny.
std::vector<ByteRange> in_order(const Skeleton& skeleton) {
  std::vector<ByteRange> order;
  std::copy_if(skeleton.payloads.begin(), skeleton.payloads.end(), std::back_inserter(order),
               [](const ByteRange& range) { return range.size > 0; });
  std::sort(order.begin(), order.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.offset < b.offset; });
  std::uint64_t end = 0;
  for (const ByteRange& range : order) {
    if (!fits(range.offset, range.size, skeleton.size) || range.offset < end ||
        (range.size >= kAlignment && range.offset % kAlignment != 0))
      throw Error(Code::internal, "the program that makes HDF5 files put a payload where it cannot be");
    end = range.end();
  }
  return order;
}

void read_metadata(int file, Skeleton& skeleton) {
  std::vector<ByteRange> order = in_order(skeleton);
  order.push_back({skeleton.size, 0});
  std::uint64_t at = 0;
  for (const ByteRange& payload : order) {
    if (payload.offset > at) {
      Skeleton::Run run{at, std::vector<std::byte>(static_cast<std::size_t>(payload.offset - at))};
      read_fully(file, at, run.bytes);
      skeleton.metadata.push_back(std::move(run));
    }
    at = payload.end();
  }
}

}  // namespace

std::uint64_t element_size(std::string_view type) {
  constexpr std::string_view kString = "string:";
  if (type.starts_with(kString)) {
    std::uint64_t size = 0;
    const std::string_view digits = type.substr(kString.size());
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (problem == std::errc{} && end == digits.data() + digits.size() && size > 0 && size <= kStringMax)
      return size;
  } else if (const auto dtype = dtype_by_name(type);
             dtype && info(*dtype).name == type && !info(*dtype).quantized && !type.starts_with("bits")) {
    return info(*dtype).itemsize;
  }
  throw Error(Code::unsupported_value, "HDF5 has no form for the type " + quote(type));
}

std::uint64_t row_size(std::span<const ColumnSpec> columns) {
  return std::accumulate(
      columns.begin(), columns.end(), std::uint64_t{0},
      [](std::uint64_t size, const ColumnSpec& column) { return size + element_size(column.type); });
}

Skeleton make_skeleton(std::span<const ObjectSpec> objects) {
  const Description description(objects);
  Skeleton skeleton;
  const Descriptor file = make_memory_file();
  try {
    skeleton.payloads = ask_helper(objects, description.text(), file.get());
  } catch (const Error& error) {
    if (error.code() != Code::bad_hdf5) throw;
    throw Error(Code::cannot_write, error.summary());  // there is no file yet that could be broken
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw Error(Code::cannot_write, "cannot measure a file in memory");
  skeleton.size = static_cast<std::uint64_t>(status.st_size);
  read_metadata(file.get(), skeleton);
  return skeleton;
}

void write_metadata(const Skeleton& skeleton, FileSink& sink) {
  for (const Skeleton::Run& run : skeleton.metadata) sink.write_at(run.offset, run.bytes);
}

}  // namespace ferry::hdf5
