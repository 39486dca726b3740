#include "formats/zip/extra.h"

#include <algorithm>

#include "formats/zip/layout.h"
#include "formats/zip/record.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

// A Unicode Path field holds a version byte, a CRC of the other name, and a name that some readers prefer.
bool names_another_record(Bytes data, std::string_view name) {
  constexpr std::size_t kNameBegins = 5;
  return data.size() < kNameBegins || as_text(data.subspan(kNameBegins)) != name;
}

// zipalign and its kind leave up to three zero bytes, too few for a field.
bool is_slack(Bytes rest) {
  return rest.size() < extra::kHeaderBytes &&
         std::all_of(rest.begin(), rest.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

Extras read_extras(Bytes list, std::string_view name, std::uint64_t at) {
  Extras found;
  const auto fail = [&](const char* what, std::size_t place) {
    throw Error(Code::bad_zip, what).at(at + place).in(in_record(name));
  };
  std::size_t place = 0;
  while (list.size() - place >= extra::kHeaderBytes) {
    const auto id = load_le<std::uint16_t>(&list[place]);
    const std::size_t size = load_le<std::uint16_t>(&list[place + 2]);
    if (size > list.size() - place - extra::kHeaderBytes)
      fail("an extra field reaches beyond its header", place);
    const Bytes data = list.subspan(place + extra::kHeaderBytes, size);
    if (id == extra::kZip64) {
      if (found.has_zip64) fail("a header has two zip64 extra fields", place);
      found = {true, data};
    }
    if (id == extra::kUnicodePath && names_another_record(data, name))
      fail("a Unicode Path extra field gives the record another name", place);
    place += extra::kHeaderBytes + size;
  }
  if (!is_slack(list.subspan(place))) fail("the extra fields end in the middle of one", place);
  return found;
}

}  // namespace ferry::zip
