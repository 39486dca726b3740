// Tables of an archive: rows of a C++ type as compound datasets, written and read by one list of fields.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "formats/hdf5/file.h"
#include "formats/hdf5/skeleton.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::cli {

// One column.  Exactly one of the three pairs is set; `put` is missing for columns that follow from others
// and are there for people.
template <typename Row>
struct ArchiveField {
  std::string_view name;
  std::function<std::string(const Row&)> text = {};
  std::function<void(Row&, std::string_view)> put_text = {};
  std::function<std::uint64_t(const Row&)> count = {};
  std::function<void(Row&, std::uint64_t)> put_count = {};
  std::function<double(const Row&)> real = {};
  std::function<void(Row&, double)> put_real = {};
};

// Fields over a member: `get` takes a row and gives a reference.
template <typename Row, typename Get>
ArchiveField<Row> text_field(std::string_view name, Get get) {
  ArchiveField<Row> field{name};
  field.text = [get](const Row& row) { return std::string(get(const_cast<Row&>(row))); };
  field.put_text = [get](Row& row, std::string_view text) { get(row) = text; };
  return field;
}

template <typename Row, typename Get>
ArchiveField<Row> count_field(std::string_view name, Get get) {
  ArchiveField<Row> field{name};
  field.count = [get](const Row& row) { return static_cast<std::uint64_t>(get(const_cast<Row&>(row))); };
  field.put_count = [get](Row& row, std::uint64_t count) {
    using Count = std::remove_reference_t<decltype(get(row))>;
    get(row) = static_cast<Count>(count);
  };
  return field;
}

template <typename Row, typename Get>
ArchiveField<Row> real_field(std::string_view name, Get get) {
  ArchiveField<Row> field{name};
  field.real = [get](const Row& row) { return static_cast<double>(get(const_cast<Row&>(row))); };
  field.put_real = [get](Row& row, double value) { get(row) = value; };
  return field;
}

// A text that its cell cannot hold.
struct LongText {
  std::string column;
  std::uint64_t row = 0;
  std::string text;
};

struct EncodedTable {
  hdf5::ObjectSpec object;
  std::vector<std::byte> rows;
  std::vector<LongText> long_texts;
};

// A column is as wide as its longest text, and cells are padded with NUL.  So a text that is longer than this
// loses its beginning in the cell, one that ends in NUL loses its end, and the whole of both lies apart.
inline constexpr std::size_t kArchiveTextMax = 1000;
std::string archive_text(std::string text);
bool fits_cell(std::string_view text);

// Adds what the cells of these tables cannot hold: "long_texts", a row for each (table, column, row; begin
// and size in bytes), and "long_text_bytes", all of them in one.
void add_long_texts(std::vector<EncodedTable>& tables);

// Bytes of one cell at `at`, little-endian.
void put_word(std::vector<std::byte>& out, std::uint64_t word);
std::uint64_t word_at(Bytes bytes, std::size_t at, bool big_endian);

template <typename Row>
EncodedTable encode_table(std::string name, const std::vector<Row>& rows,
                          const std::vector<ArchiveField<Row>>& fields) {
  EncodedTable table;
  table.object.path = {std::move(name)};
  table.object.type = "table";
  table.object.shape = {static_cast<std::int64_t>(rows.size())};
  std::vector<std::size_t> widths;
  for (const auto& field : fields) {
    std::size_t width = 1;
    if (field.text)
      for (const Row& row : rows) width = std::max(width, archive_text(field.text(row)).size());
    widths.push_back(width);
    table.object.columns.push_back({std::string(field.name), field.text    ? "string:" + std::to_string(width)
                                                             : field.count ? "uint64"
                                                                           : "float64"});
  }
  for (std::size_t at = 0; at < rows.size(); ++at)
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto& field = fields[i];
      if (field.count) put_word(table.rows, field.count(rows[at]));
      if (field.real) put_word(table.rows, std::bit_cast<std::uint64_t>(field.real(rows[at])));
      if (!field.text) continue;
      const std::string whole = field.text(rows[at]), text = archive_text(whole);
      if (field.put_text && !fits_cell(whole))
        table.long_texts.push_back({std::string(field.name), at, whole});
      const Bytes bytes = as_bytes(text);
      table.rows.insert(table.rows.end(), bytes.begin(), bytes.end());
      table.rows.insert(table.rows.end(), widths[i] - text.size(), std::byte{0});
    }
  return table;
}

// The long texts of one table, by place.
class LongTextFinder {
 public:
  LongTextFinder(const hdf5::File& file, const std::string& table);
  // The text of a cell; `cell` where nothing longer is kept.
  std::string_view find(std::string_view column, std::uint64_t row, std::string_view cell) const;

 private:
  std::map<std::pair<std::string, std::uint64_t>, std::string> texts_;
};

// Columns that are not there leave what Row is made with; columns that no field names are skipped.
// Throws Code::bad_hdf5 when the table is missing or a column is of another kind.
template <typename Row>
std::vector<Row> decode_table(const hdf5::File& file, const std::string& name,
                              const std::vector<ArchiveField<Row>>& fields) {
  const hdf5::Object* const object = file.find("/" + name);
  if (object == nullptr || object->content != hdf5::Object::Content::table || object->shape.size() != 1)
    throw Error(Code::bad_hdf5, "this is no archive of torchferry: it has no table " + quote(name));
  const std::vector<std::byte> bytes = file.read(*object);
  std::vector<Row> rows(static_cast<std::size_t>(object->shape[0]));
  LongTextFinder long_texts(file, name);
  for (const hdf5::Column& column : object->columns) {
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [&](const auto& field) { return field.name == column.name; });
    if (found == fields.end()) continue;
    const bool fits = found->text ? column.type == "string"
                                  : column.size == 8 && column.type == (found->count ? "uint64" : "float64");
    if (!fits)
      throw Error(Code::bad_hdf5,
                  "column " + quote(column.name) + " of table " + quote(name) + " is of another kind");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t at = i * object->itemsize + column.offset;
      if (found->put_text) {
        const std::string_view cell = as_text(Bytes(bytes).subspan(at, column.size));
        found->put_text(rows[i],
                        long_texts.find(found->name, i, cell.substr(0, cell.find_last_not_of('\0') + 1)));
      }
      if (found->put_count) found->put_count(rows[i], word_at(bytes, at, column.big_endian));
      if (found->put_real)
        found->put_real(rows[i], std::bit_cast<double>(word_at(bytes, at, column.big_endian)));
    }
  }
  return rows;
}

}  // namespace ferry::cli
