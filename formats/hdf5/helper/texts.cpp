#include "formats/hdf5/helper/texts.h"

#include <cstring>
#include <functional>

#include "formats/hdf5/protocol.h"
#include "src/core/text.h"

namespace ferry::hdf5::helper {
namespace {

using Reader = std::function<herr_t(void*)>;  // fills a buffer in the layout of the file's own type

// A string of fixed length ends at its first NUL; only with padding by spaces those at its end belong to it.
std::string without_padding(const char* begin, std::size_t size, H5T_str_t padding) {
  std::string text(begin, padding == H5T_STR_SPACEPAD ? size : ::strnlen(begin, size));
  if (padding == H5T_STR_SPACEPAD) text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

Texts read_fixed(const Reader& read, hid_t type, std::uint64_t count) {
  const std::size_t size = H5Tget_size(type);
  if (size == 0 || count > protocol::kTextBytesMax / size)
    return {{}, "strings of more bytes than the limit"};
  std::vector<char> bytes(static_cast<std::size_t>(count) * size);
  check(read(bytes.data()), "read strings");
  Texts result;
  for (std::size_t i = 0; i < count; ++i)
    result.values.push_back(without_padding(bytes.data() + i * size, size, H5Tget_strpad(type)));
  return result;
}

// The library allocates each string; its own count of their bytes, known only by reading, is bounded by the
// memory that this process may have.
Texts read_variable(const Reader& read, hid_t type, hid_t space, std::uint64_t count) {
  std::vector<char*> pointers(static_cast<std::size_t>(count));
  check(read(pointers.data()), "read strings");
  Texts result;
  std::size_t total = 0;
  for (const char* text : pointers) {
    total += text == nullptr ? 0 : std::strlen(text);
    if (total > protocol::kTextBytesMax) break;
    result.values.emplace_back(text == nullptr ? "" : text);
  }
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  if (total > protocol::kTextBytesMax) return {{}, "strings of more bytes than the limit"};
  return result;
}

Texts read_texts(const Reader& read, hid_t type, hid_t space, std::uint64_t count) {
  if (count > protocol::kTextsMax) return {{}, "more strings than the limit"};
  if (count == 0) return {};
  Texts result =
      H5Tis_variable_str(type) > 0 ? read_variable(read, type, space, count) : read_fixed(read, type, count);
  for (const std::string& text : result.values)
    if (!is_utf8(text, false)) return {{}, "a string that is no UTF-8"};
  return result;
}

}  // namespace

Texts read_dataset_texts(hid_t dataset, hid_t type, hid_t space, std::uint64_t count) {
  // One string is no longer than the file; for a space without dimensions 1.10.8 crashes here.
  if (count > 1 && count <= protocol::kTextsMax && H5Tis_variable_str(type) > 0) {
    hsize_t size = 0;
    check(H5Dvlen_get_buf_size(dataset, type, space, &size), "measure strings");
    if (size > protocol::kTextBytesMax) return {{}, "strings of more bytes than the limit"};
  }
  return read_texts([&](void* out) { return H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out); },
                    type, space, count);
}

Texts read_attribute_texts(hid_t attribute, hid_t type, hid_t space, std::uint64_t count) {
  return read_texts([&](void* out) { return H5Aread(attribute, type, out); }, type, space, count);
}

}  // namespace ferry::hdf5::helper
