#include "src/cli/archive_table.h"

#include <utility>

namespace ferry::cli {
namespace {

constexpr char kTexts[] = "long_texts", kBytes[] = "long_text_bytes";

struct SavedText {
  std::string table, column;
  std::uint64_t row = 0, begin = 0, size = 0;
};

std::vector<ArchiveField<SavedText>> long_text_fields() {
  using Row = SavedText;
  return {
      text_field<Row>(
          "table", [](Row & row) -> auto& { return row.table; }),
      text_field<Row>(
          "column", [](Row & row) -> auto& { return row.column; }),
      count_field<Row>(
          "row", [](Row & row) -> auto& { return row.row; }),
      count_field<Row>(
          "begin", [](Row & row) -> auto& { return row.begin; }),
      count_field<Row>(
          "size", [](Row & row) -> auto& { return row.size; }),
  };
}

}  // namespace

std::string archive_text(std::string text) {
  if (text.size() <= kArchiveTextMax) return text;
  std::size_t begin = text.size() - kArchiveTextMax + 3;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
  return "…" + text.substr(begin);
}

bool fits_cell(std::string_view text) { return text.size() <= kArchiveTextMax && !text.ends_with('\0'); }

void add_long_texts(std::vector<EncodedTable>& tables) {
  std::vector<SavedText> rows;
  EncodedTable all;
  for (EncodedTable& table : tables)
    for (const LongText& one : std::exchange(table.long_texts, {})) {
      rows.push_back({table.object.path.back(), one.column, one.row, all.rows.size(), one.text.size()});
      const Bytes bytes = as_bytes(one.text);
      all.rows.insert(all.rows.end(), bytes.begin(), bytes.end());
    }
  all.object = {.path = {kBytes}, .type = "uint8", .shape = {static_cast<std::int64_t>(all.rows.size())}};
  tables.push_back(encode_table(kTexts, rows, long_text_fields()));
  tables.push_back(std::move(all));
}

LongTextFinder::LongTextFinder(const hdf5::File& file, const std::string& table) {
  if (table == kTexts) return;
  const std::vector<SavedText> rows = decode_table(file, kTexts, long_text_fields());
  if (rows.empty()) return;
  const hdf5::Object* const object = file.find(std::string("/") + kBytes);
  if (object == nullptr || object->content != hdf5::Object::Content::tensor || object->dtype != DType::uint8)
    throw Error(Code::bad_hdf5, "this is no archive of torchferry: it has no dataset " + quote(kBytes));
  const std::vector<std::byte> bytes = file.read(*object);
  for (const SavedText& row : rows) {
    if (row.begin > bytes.size() || row.size > bytes.size() - row.begin)
      throw Error(Code::bad_hdf5, "/" + std::string(kBytes) + " is shorter than /" + kTexts + " says");
    if (row.table == table)
      texts_[{row.column, row.row}] = as_text(Bytes(bytes).subspan(row.begin, row.size));
  }
}

std::string_view LongTextFinder::find(std::string_view column, std::uint64_t row,
                                      std::string_view cell) const {
  if (texts_.empty()) return cell;
  const auto found = texts_.find(std::pair(std::string(column), row));
  return found == texts_.end() ? cell : std::string_view(found->second);
}

void put_word(std::vector<std::byte>& out, std::uint64_t word) {
  out.resize(out.size() + 8);
  store_le<std::uint64_t>(&out[out.size() - 8], word);
}

std::uint64_t word_at(Bytes bytes, std::size_t at, bool big_endian) {
  const std::uint64_t word = load_le<std::uint64_t>(bytes.subspan(at, 8).data());
  return big_endian ? __builtin_bswap64(word) : word;
}

}  // namespace ferry::cli
