// Zip archives: what PyTorch and other tools write is read, what could be read in two ways is refused, and
// what our encoder makes is an archive to others as well.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "formats/zip/archive.h"
#include "formats/zip/crc32.h"
#include "formats/zip/crc32_wide.h"
#include "formats/zip/encode.h"
#include "formats/zip/inflate.h"
#include "src/core/error.h"

namespace ferry::zip {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 40;

// --- Bytes
// ----------------------------------------------------------------------------------------------------------

template <typename T>
std::string le(T value) {
  std::string text(sizeof(T), '\0');
  for (std::size_t i = 0; i < sizeof(T); ++i)
    text[i] = static_cast<char>((std::uint64_t{value} >> (8 * i)) & 0xff);
  return text;
}
std::string u16(std::uint64_t value) { return le(static_cast<std::uint16_t>(value)); }
std::string u32(std::uint64_t value) { return le(static_cast<std::uint32_t>(value)); }
std::string u64(std::uint64_t value) { return le(value); }

std::string text_of(Bytes bytes) { return std::string(as_text(bytes)); }

SourcePtr source_of(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  return std::make_shared<MemorySource>("test.pt", std::vector<std::byte>(bytes.begin(), bytes.end()));
}

std::string replaced(std::string text, std::size_t at, std::string_view by) {
  return text.replace(at, by.size(), by);
}

std::string deflated(std::string_view data) {
  std::string out(compressBound(data.size()) + 16, '\0');
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// --- A maker of archives, honest or not
// -----------------------------------------------------------------------------

enum class Footer { none, signed32, plain32, signed64, plain64 };

struct Piece {
  std::string name = {}, data = {};
  bool deflate = false;
  unsigned flags = 0x800;
  Footer footer = Footer::none;
  std::string local_extra = {}, central_extra = {};
  bool wide_sizes = false;   // the directory refers to sizes in central_extra
  bool wide_offset = false;  // and to an offset
  std::string before = {};   // bytes that no record owns
  std::string stored = {};   // what stands in the file, where it is not data or data deflated
};

std::string footer_of(const Piece& piece, std::uint32_t crc, std::uint64_t stored, std::uint64_t size) {
  const bool is_signed = piece.footer == Footer::signed32 || piece.footer == Footer::signed64;
  const bool is_wide = piece.footer == Footer::signed64 || piece.footer == Footer::plain64;
  if (piece.footer == Footer::none) return "";
  return (is_signed ? "PK\7\10" : "") + u32(crc) +
         (is_wide ? u64(stored) + u64(size) : u32(stored) + u32(size));
}

std::string end_of(std::uint64_t count, std::uint64_t size, std::uint64_t offset,
                   std::string_view comment = "") {
  const std::uint64_t shown = std::min<std::uint64_t>(count, 0xffff);
  return "PK\5\6" + u16(0) + u16(0) + u16(shown) + u16(shown) + u32(size) + u32(offset) +
         u16(comment.size()) + std::string(comment);
}

std::string end64_of(std::uint64_t count, std::uint64_t size, std::uint64_t offset) {
  return "PK\6\6" + u64(44) + u16(0x31e) + u16(45) + u32(0) + u32(0) + u64(count) + u64(count) + u64(size) +
         u64(offset) + "PK\6\7" + u32(0) + u64(offset + size) + u32(1);
}

std::string make_zip(const std::vector<Piece>& pieces, bool with_end64 = false,
                     std::string_view comment = "") {
  std::string file, directory;
  for (const Piece& piece : pieces) {
    file += piece.before;
    const std::uint64_t offset = file.size();
    const std::string stored = !piece.stored.empty() ? piece.stored
                               : piece.deflate       ? deflated(piece.data)
                                                     : piece.data;
    const std::uint32_t crc = crc32(0, as_bytes(piece.data));
    const bool later = piece.footer != Footer::none;
    const std::string method = u16(piece.deflate ? 8 : 0), flags = u16(piece.flags | (later ? 8 : 0));
    const std::string numbers = u32(crc) + u32(stored.size()) + u32(piece.data.size());
    file += "PK\3\4" + u16(20) + flags + method + u32(0) + (later ? std::string(12, '\0') : numbers) +
            u16(piece.name.size()) + u16(piece.local_extra.size()) + piece.name + piece.local_extra + stored;
    file += footer_of(piece, crc, stored.size(), piece.data.size());
    directory += "PK\1\2" + u16(20) + u16(20) + flags + method + u32(0) +
                 (piece.wide_sizes ? u32(crc) + std::string(8, '\xff') : numbers) + u16(piece.name.size()) +
                 u16(piece.central_extra.size()) + u16(0) + u16(0) + u16(0) + u32(0) +
                 (piece.wide_offset ? std::string(4, '\xff') : u32(offset)) + piece.name +
                 piece.central_extra;
  }
  const std::size_t offset = file.size();
  file += directory;
  if (with_end64) file += end64_of(pieces.size(), directory.size(), offset);
  return file + end_of(pieces.size(), directory.size(), offset, comment);
}

// As torch.save writes: descriptors, "FB" padding to 64 bytes, zip64 end records that nothing needs.
std::string torch_like(const std::vector<std::pair<std::string, std::string>>& records) {
  std::vector<Piece> pieces;
  std::size_t at = 0;
  for (const auto& [name, data] : records) {
    const std::size_t begin = at + 30 + name.size() + 4, filler = (64 - begin % 64) % 64;
    pieces.push_back({.name = name, .data = data});
    pieces.back().local_extra = "FB" + u16(filler) + std::string(filler, 'Z');
    if (!data.empty()) pieces.back().footer = Footer::signed32;
    at = begin + filler + data.size() + (data.empty() ? 0 : 16);
  }
  return make_zip(pieces, true);
}

std::string encoded(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string file;
  std::vector<Entry> entries;
  for (const auto& [name, data] : records) {
    entries.push_back({name, data.size(), crc32(0, as_bytes(data)), file.size()});
    file += text_of(local_header(entries.back())) + data + text_of(data_descriptor(entries.back()));
  }
  return file + text_of(directory(entries, file.size()));
}

const std::vector<std::pair<std::string, std::string>> kSmall = {{"m/data.pkl", "\x80\2}q\1."},
                                                                 {"m/data/0", std::string(100, 'w')},
                                                                 {"m/empty", ""},
                                                                 {"m/version", "3\n"}};

// --- Reading
// --------------------------------------------------------------------------------------------------------

Archive open(std::string_view file) { return Archive::open(source_of(file), Limits{}); }

using Contents = std::vector<std::pair<Record, std::string>>;

Contents read_all(const Archive& archive, std::uint64_t size_max = kNoLimit) {
  Contents contents;
  for (const Record& record : archive.records())
    contents.emplace_back(record, text_of(archive.read(record, size_max)));
  return contents;
}
Contents read_all(std::string_view file) { return read_all(open(file)); }

// The code that opening and reading `file` throws, and its message in `what`; nullopt when all is well.
std::optional<Code> fault_of(std::string_view file, std::string* what = nullptr) {
  try {
    read_all(file);
  } catch (const Error& error) {
    if (what != nullptr) *what = error.what();
    return error.code();
  }
  return std::nullopt;
}

std::map<std::string, std::string> by_name(const Contents& contents) {
  std::map<std::string, std::string> map;
  for (const auto& [record, data] : contents) map[record.name] = data;
  return map;
}

// Zeros, but for some islands: archives of many gigabytes without the gigabytes.  Counts what is read.
class SparseSource final : public ByteSource {
 public:
  void put(std::uint64_t at, std::string text) {
    size_ = std::max(size_, at + text.size());
    islands_[at] = std::move(text);
  }
  const std::string& name() const override { return name_; }
  std::uint64_t size() const override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    ++reads;
    bytes_read += out.size();
    std::fill(out.begin(), out.end(), std::byte{0});
    for (const auto& [at, text] : islands_) {
      const std::uint64_t begin = std::max(at, offset),
                          stop = std::min(at + text.size(), offset + out.size());
      for (std::uint64_t i = begin; i < stop; ++i) out[i - offset] = static_cast<std::byte>(text[i - at]);
    }
  }
  const std::map<std::uint64_t, std::string>& islands() const { return islands_; }

  mutable std::uint64_t reads = 0, bytes_read = 0;

 private:
  std::string name_ = "sparse.pt";
  std::map<std::uint64_t, std::string> islands_;
  std::uint64_t size_ = 0;
};

std::shared_ptr<SparseSource> encoded_sparse(std::vector<Entry> entries) {
  auto source = std::make_shared<SparseSource>();
  std::uint64_t at = 0;
  for (Entry& entry : entries) {
    entry.header_offset = at;
    const auto header = local_header(entry), behind = data_descriptor(entry);
    source->put(at, text_of(header));
    at += header.size() + entry.size;
    source->put(at, text_of(behind));
    at += behind.size();
  }
  source->put(at, text_of(directory(entries, at)));
  return source;
}

// --- Files of others
// ------------------------------------------------------------------------------------------------

fs::path shared() {
  if (const char* path = std::getenv("TORCHFERRY_SHARED")) return path;
  return fs::path(FERRY_SOURCE_DIR).parent_path() / "shared";
}

class TempFile {
 public:
  explicit TempFile(std::string_view contents)
      : path_(testing::TempDir() + "zip_test." + std::to_string(::getpid()) + ".zip") {
    std::ofstream(path_, std::ios::binary) << contents;
  }
  ~TempFile() { fs::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool has_python() { return std::system("python3 -c pass >/dev/null 2>&1") == 0; }
bool python_accepts(std::string_view file) {
  const TempFile temp(file);
  return std::system(("python3 -m zipfile -t " + temp.path() + " >/dev/null 2>&1").c_str()) == 0;
}

// === CRC-32
// =========================================================================================================

TEST(Crc32, GivesTheCheckValueOfTheStandard) {
  EXPECT_EQ(crc32(0, as_bytes("123456789")), 0xcbf43926u);
  EXPECT_EQ(crc32(0, {}), 0u);
  EXPECT_EQ(crc32(7, {}), 7u);
  EXPECT_TRUE(crc32_engine() == "isa-l" || crc32_engine() == "zlib");
}

TEST(Crc32, ChainsAndCombinesLikeZlibAtEverySplit) {
  std::string data(1021, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * i * 31 + 7);
  const auto whole = static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size())));
  for (std::size_t i = 0; i <= data.size(); ++i) {
    const Bytes a = as_bytes(data).first(i), b = as_bytes(data).subspan(i);
    ASSERT_EQ(crc32(crc32(0, a), b), whole) << i;
    ASSERT_EQ(crc32_combine(crc32(0, a), crc32(0, b), b.size()), whole) << i;
  }
}

TEST(Crc32, IsThatOfZlibForEverySizeAndPlaceOfLongRuns) {
  std::string data(kWideCrcBytes + 700, '\0');
  std::uint32_t state = 1;
  for (char& c : data) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (std::size_t begin = 0; begin < 40; ++begin)
    for (std::size_t size = kWideCrcBytes - 2; size + begin <= data.size(); size += 7) {
      const Bytes piece = as_bytes(data).subspan(begin, size);
      const auto expected = static_cast<std::uint32_t>(
          ::crc32(state, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(size)));
      ASSERT_EQ(crc32(state, piece), expected) << begin << ' ' << size;
    }
}

TEST(Crc32, CombinesSizesBeyond32Bits) {
  const std::string zeros(1 << 20, '\0');
  const std::uint32_t mebi = crc32(0, as_bytes(zeros));
  std::uint32_t crc = mebi;  // of 2^20 zeros, doubled 13 times: 8 GiB
  std::uint64_t size = zeros.size();
  for (; size < std::uint64_t{8} << 30; size *= 2) crc = crc32_combine(crc, crc, size);
  std::uint32_t other = 0;
  for (std::uint64_t i = 0; i < size; i += zeros.size()) other = crc32_combine(other, mebi, zeros.size());
  EXPECT_EQ(crc, other);
}

// === Encoding
// =======================================================================================================

TEST(ZipEncode, DataBeginsAtMultiplesOf64) {
  for (std::size_t length = 1; length < 150; ++length)
    for (const std::uint64_t at : {0ull, 1ull, 63ull, 64ull, 1000ull, 0x1'0000'0001ull}) {
      const std::string name(length, 'n');
      EXPECT_EQ((at + local_header_size(name, 5, at)) % kDataAlignment, 0u);
      EXPECT_EQ(local_header({name, 5, 0, at}).size(), local_header_size(name, 5, at));
    }
}

TEST(ZipEncode, SizesAreKnownBeforeTheCrc) {
  const Entry entry{"m/data/0", 100, 0xdeadbeef, 640};
  Entry unknown = entry;
  unknown.crc = 0;
  EXPECT_EQ(local_header(unknown), local_header(entry));
  EXPECT_EQ(data_descriptor(unknown).size(), descriptor_size(entry.size, entry.header_offset));
  EXPECT_EQ(directory({{unknown}}, 1000).size(), directory_size({{entry}}));
}

TEST(ZipEncode, PlacesRecordsWherePyTorchDoes) {
  const Archive ours = open(encoded(kSmall)), theirs = open(torch_like(kSmall));
  for (std::size_t i = 0; i < kSmall.size(); ++i) {
    EXPECT_EQ(ours.records()[i].header_offset, theirs.records()[i].header_offset);
    EXPECT_EQ(ours.records()[i].data_offset, theirs.records()[i].data_offset);
  }
  EXPECT_EQ(encoded(kSmall).size(), torch_like(kSmall).size());
}

// As torch 2.13 wrote them (torch.save under skip_data), but for the date and the CRCs.
TEST(ZipEncode, HeadersAreThoseOfPyTorch) {
  struct Row {
    std::uint64_t size, offset;
    std::string local_extra, descriptor, central_extra, narrow_size, narrow_offset;
  };
  const std::string none, mark(4, '\xff');
  const auto fb = [](std::size_t filler) { return "FB" + u16(filler) + std::string(filler, 'Z'); };
  const auto two = [](std::uint64_t size) { return u64(size) + u64(size); };
  const std::uint64_t g5 = 0x1'4000'0000, first = 0x1'0000'021c, later = 0x2'4003'0380;
  const std::vector<Row> rows = {
      {12, 662, fb(56), u32(12) + u32(12), none, u32(12), u32(662)},
      {0, 918, fb(56), none, none, u32(0), u32(918)},
      {0xfffffe0c, 918, fb(56), u32(0xfffffe0c) + u32(0xfffffe0c), none, u32(0xfffffe0c), u32(918)},
      {g5, 662, u16(1) + u16(16) + u64(g5) + u64(0) + fb(36), two(g5), u16(1) + u16(16) + two(g5), mark,
       u32(662)},
      {g5, first, u16(1) + u16(24) + u64(g5) + u64(0) + u64(first) + fb(22), two(g5),
       u16(1) + u16(24) + two(g5) + u64(first), mark, mark},
      {12, g5 + 792, u16(1) + u16(8) + u64(g5 + 792) + fb(42), two(12), u16(1) + u16(8) + u64(g5 + 792),
       u32(12), mark},
      {0, later, u16(1) + u16(8) + u64(later) + fb(2), none, u16(1) + u16(8) + u64(later), u32(0), mark},
      {0xffffffff, later, u16(1) + u16(24) + u64(0xffffffff) + u64(0) + u64(later) + fb(50), two(0xffffffff),
       u16(1) + u16(24) + two(0xffffffff) + u64(later), mark, mark},
  };
  const std::string name = "zdesc_big/data/0", no_version = u16(0), date = u16(0) + u16(1 << 5 | 1);
  for (const Row& row : rows) {
    SCOPED_TRACE(std::to_string(row.size) + " at " + std::to_string(row.offset));
    const Entry entry{name, row.size, row.size == 0 ? 0 : 0xdeadbeef, row.offset};
    const std::string flags = u16(row.size == 0 ? 0x800 : 0x808);
    EXPECT_EQ(text_of(local_header(entry)), "PK\3\4" + no_version + flags + u16(0) + date +
                                                std::string(12, '\0') + u16(name.size()) +
                                                u16(row.local_extra.size()) + name + row.local_extra);
    EXPECT_EQ(text_of(data_descriptor(entry)),
              row.size == 0 ? "" : "PK\7\10" + u32(entry.crc) + row.descriptor);
    const std::string central = "PK\1\2" + no_version + no_version + flags + u16(0) + date + u32(entry.crc) +
                                row.narrow_size + row.narrow_size + u16(name.size()) +
                                u16(row.central_extra.size()) + std::string(10, '\0') + row.narrow_offset +
                                name + row.central_extra;
    const std::uint64_t at = row.offset + 1000;
    EXPECT_EQ(text_of(directory({{entry}}, at)),
              central + end64_of(1, central.size(), at) +
                  end_of(1, central.size(), std::min<std::uint64_t>(at, 0xffffffff)));
  }
}

// What torch.load computes where it reads no headers (caffe2/serialize/inline_container.cc, getPadding;
// torch/serialization.py, _get_offset), in their own words.
TEST(ZipEncode, PyTorchComputesTheOffsets) {
  const std::uint64_t max = 0xffffffff;
  const std::vector<std::uint64_t> numbers = {0,         1,       63,  64,      65,     1000,
                                              max - 200, max - 1, max, max + 1, 5 * max};
  for (const std::uint64_t size : numbers)
    for (const std::uint64_t cursor : numbers)
      for (std::size_t length = 1; length < 70; ++length) {
        std::uint64_t start = cursor + 30 + length + 4;
        if (size >= max || cursor >= max) start += 4 + (size >= max ? 16 : 0) + (cursor >= max ? 8 : 0);
        if (start % 64 != 0) start += 64 - start % 64;
        ASSERT_EQ(cursor + local_header_size(std::string(length, 'n'), size, cursor), start);
        const std::uint64_t behind = size == 0 ? 0 : cursor >= max || size >= max ? 24 : 16;
        ASSERT_EQ(descriptor_size(size, cursor), behind);
      }
}

TEST(ZipEncode, IsReadBack) {
  const Archive archive = open(encoded(kSmall));
  ASSERT_EQ(archive.records().size(), kSmall.size());
  for (std::size_t i = 0; i < kSmall.size(); ++i) {
    const Record& record = archive.records()[i];
    EXPECT_EQ(record.name, kSmall[i].first);
    EXPECT_EQ(record.data_offset % 64, 0u);
    EXPECT_TRUE(record.crc_computed);
    EXPECT_EQ(text_of(archive.read(record, kNoLimit)), kSmall[i].second);
  }
  EXPECT_EQ(archive.unlisted_bytes(), 0u);
}

TEST(ZipEncode, RecordsBeyond4GiBAreReadBack) {
  const std::uint64_t five = std::uint64_t{5} << 30;
  const auto source = encoded_sparse({{"m/big", five}, {"m/last", 8}, {"m/big2", five}, {"m/empty", 0}});
  const Archive archive = Archive::open(source, Limits{});
  ASSERT_EQ(archive.records().size(), 4u);
  EXPECT_EQ(archive.records()[0].size, five);
  EXPECT_EQ(archive.records()[1].header_offset, archive.records()[0].data_offset + five + 24);
  EXPECT_EQ(archive.records()[3].data_offset % 64, 0u);
  EXPECT_EQ(archive.unlisted_bytes(), 0u);
  EXPECT_LT(source->bytes_read, 100'000u);
}

TEST(ZipEncode, PythonAcceptsTheArchive) {
  if (!has_python()) GTEST_SKIP() << "no python3";
  auto records = kSmall;
  records.push_back({"m/n\xc3\xa4me", "text"});
  EXPECT_TRUE(python_accepts(encoded(records)));
  EXPECT_TRUE(python_accepts(encoded({})));
  EXPECT_FALSE(python_accepts(encoded(records).substr(1)));
}

TEST(ZipEncode, PythonAcceptsMoreRecordsThan16BitsCount) {
  if (!has_python()) GTEST_SKIP() << "no python3";
  for (const std::size_t count : {65534, 65535, 65536}) {
    std::vector<std::pair<std::string, std::string>> records;
    for (std::size_t i = 0; i < count; ++i) records.push_back({"m/data/" + std::to_string(i), ""});
    const std::string file = encoded(records);
    EXPECT_EQ(open(file).records().size(), count);
    EXPECT_TRUE(python_accepts(file)) << count;
  }
}

TEST(ZipEncode, PythonFindsRecordsBeyond4GiB) {
  if (!has_python()) GTEST_SKIP() << "no python3";
  const auto source = encoded_sparse({{"m/big", std::uint64_t{5} << 30}, {"m/last", 8}});
  const TempFile temp("");
  fs::resize_file(temp.path(), source->size());  // a hole takes no room
  std::fstream file(temp.path(), std::ios::in | std::ios::out | std::ios::binary);
  for (const auto& [at, text] : source->islands()) file.seekp(static_cast<std::streamoff>(at)) << text;
  file.close();
  const std::string program =
      "import zipfile,sys; z = zipfile.ZipFile(sys.argv[1]); i = z.infolist();"
      "assert [x.file_size for x in i] == [5 << 30, 8]; assert z.open(i[0]).read(3) == bytes(3); "
      "z.open(i[1])";
  EXPECT_EQ(std::system(("python3 -c '" + program + "' " + temp.path()).c_str()), 0);
}

TEST(ZipEncode, RefusesNamesThatDoNotFit) {
  EXPECT_THROW(local_header_size(std::string(65536, 'n'), 0, 0), Error);
}

// === What is legal
// ==================================================================================================

TEST(ZipArchive, ReadsWhatPyTorchWrites) {
  const Contents contents = read_all(torch_like(kSmall));
  ASSERT_EQ(contents.size(), kSmall.size());
  for (std::size_t i = 0; i < kSmall.size(); ++i) {
    EXPECT_EQ(contents[i].first.name, kSmall[i].first);
    EXPECT_EQ(contents[i].second, kSmall[i].second);
  }
}

TEST(ZipArchive, ReadsWhatPyTorchWritesBeyond4GiB) {
  // miniz: sizes in the local zip64 extra, the stored one not yet known and 0; behind 4 GiB also the offset,
  // alone for small records; descriptors with 64-bit sizes whenever there is an extra.
  const std::uint64_t big = std::uint64_t{5} << 30;
  auto source = std::make_shared<SparseSource>();
  const auto local = [](std::string_view extra) {
    return "PK\3\4" + u16(0) + u16(0x808) + u16(0) + u32(0) + std::string(12, '\0') + u16(3) +
           u16(extra.size());
  };
  const auto central = [](std::uint64_t size, std::uint64_t offset, std::string_view extra) {
    return "PK\1\2" + u16(0) + u16(0) + u16(0x808) + u16(0) + u32(0) + u32(size == 4 ? 0x2144df1c : 0) +
           u32(size) + u32(size) + u16(3) + u16(extra.size()) + std::string(10, '\0') + u32(offset);
  };
  const std::string extra_a = u16(1) + u16(16) + u64(big) + u64(0) + "FB" + u16(1) + "Z";
  const std::string head_a = local(extra_a) + "m/a" + extra_a;
  source->put(0, head_a);
  const std::string foot_a = "PK\7\10" + u32(0) + u64(big) + u64(big);
  source->put(head_a.size() + big, foot_a);
  const std::uint64_t b = head_a.size() + big + foot_a.size();
  const std::string extra_b = u16(1) + u16(8) + u64(b) + "FB" + u16(0);
  const std::string head_b = local(extra_b) + "m/b" + extra_b + std::string(4, '\0');
  source->put(b, head_b + "PK\7\10" + u32(0x2144df1c) + u64(4) + u64(4));
  const std::uint64_t at = b + head_b.size() + 24;
  const std::string wide_a = u16(1) + u16(16) + u64(big) + u64(big), wide_b = u16(1) + u16(8) + u64(b);
  const std::string directory =
      central(0xffffffff, 0, wide_a) + "m/a" + wide_a + central(4, 0xffffffff, wide_b) + "m/b" + wide_b;
  source->put(at, directory + end64_of(2, directory.size(), at) + end_of(2, directory.size(), 0xffffffff));

  const Archive archive = Archive::open(source, Limits{});
  EXPECT_EQ(archive.records()[0].size, big);
  EXPECT_FALSE(archive.records()[0].crc_computed);
  EXPECT_EQ(archive.records()[1].header_offset, b);
  EXPECT_EQ(archive.read(archive.records()[1], 4).size(), 4u);
  EXPECT_EQ(archive.unlisted_bytes(), 0u);
}

TEST(ZipArchive, ReadsDescriptorsOfAllFourForms) {
  for (const Footer footer : {Footer::signed32, Footer::plain32, Footer::signed64, Footer::plain64})
    for (const bool deflate : {false, true}) {
      const std::string file =
          make_zip({{.name = "a", .data = "first first", .deflate = deflate, .footer = footer},
                    {.name = "b", .data = "", .deflate = deflate, .footer = footer},
                    {.name = "c", .data = "third", .deflate = deflate, .footer = footer}});
      const auto contents = by_name(read_all(file));
      EXPECT_EQ(contents.at("a"), "first first");
      EXPECT_EQ(contents.at("c"), "third");
    }
}

TEST(ZipArchive, ReadsNumpysWideSizes) {
  const std::string wide = u16(1) + u16(16) + u64(3) + u64(3);
  EXPECT_FALSE(fault_of(make_zip({{.name = "a.npy", .data = "abc", .local_extra = wide}})));
  Piece saturated{.name = "a.npy", .data = "abc", .local_extra = wide};
  const std::string file = make_zip({saturated});
  EXPECT_FALSE(fault_of(replaced(file, 18, std::string(8, '\xff'))));
}

TEST(ZipArchive, FindsExactNamesOnly) {
  const Archive archive = open(make_zip({{.name = "m/data.pkl", .data = "x"},
                                         {.name = std::string("m/nul\0x", 7), .data = "x"},
                                         {.name = "m/\xff", .data = "x"},
                                         {.name = "", .data = "x"}}));
  ASSERT_NE(archive.find("m/data.pkl"), nullptr);
  EXPECT_EQ(archive.find("m/data.pkl"), &archive.records()[0]);
  for (const std::string_view name :
       {std::string_view("M/DATA.PKL"), std::string_view("m/data"), std::string_view(""),
        std::string_view("m/nul\0x", 7), std::string_view("m/nul"), std::string_view("m/\xff"),
        std::string_view("m/data.pkl\0", 11)})
    EXPECT_EQ(archive.find(name), nullptr) << name;
}

TEST(ZipArchive, CountsBytesThatNoRecordOwns) {
  const std::string file =
      make_zip({{.name = "a", .data = "x"}, {.name = "b", .data = "y", .before = "seven.."}});
  EXPECT_EQ(open(file).unlisted_bytes(), 7u);
  const std::string hidden = make_zip({{.name = "hidden", .data = "x"}});
  const std::string before = hidden.substr(0, hidden.find("PK\1\2"));
  EXPECT_EQ(open(make_zip({{.name = "a", .data = "x", .before = before}})).unlisted_bytes(), before.size());
}

TEST(ZipArchive, ReadsRecordsInAnyOrderOfTheDirectory) {
  const std::string file = make_zip({{.name = "a", .data = "1"}, {.name = "b", .data = "2"}});
  const std::size_t at = file.find("PK\1\2"), size = 47;
  const std::string swapped =
      file.substr(0, at) + file.substr(at + size, size) + file.substr(at, size) + file.substr(at + 2 * size);
  const Contents contents = read_all(swapped);
  EXPECT_EQ(contents[0].first.name, "b");
  EXPECT_EQ(contents[0].second, "2");
  EXPECT_EQ(contents[1].second, "1");
}

TEST(ZipArchive, ReadsArchivesInsideRecordsAndComments) {
  const std::string inner = make_zip({{.name = "policy.pth", .data = "x"}}, true);
  EXPECT_EQ(by_name(read_all(make_zip({{.name = "inner.zip", .data = inner}}))).at("inner.zip"), inner);
  EXPECT_FALSE(fault_of(make_zip({{.name = "a", .data = "x"}}, true, "a comment")));
  EXPECT_FALSE(fault_of(make_zip({{.name = "a", .data = "x"}}, false, std::string(65535, 'c'))));
}

TEST(ZipArchive, OpensAnEmptyArchive) {
  EXPECT_TRUE(open(end_of(0, 0, 0)).records().empty());
  EXPECT_EQ(fault_of("pickle" + end_of(0, 0, 6)), Code::bad_zip);
}

TEST(ZipArchive, TellsRecordsWithoutCrc) {
  std::string file = make_zip({{.name = "a", .data = "weights"}, {.name = "b", .data = ""}});
  file.replace(14, 4, 4, '\0').replace(file.find("PK\1\2") + 16, 4, 4, '\0');
  const Archive archive = open(file);
  EXPECT_FALSE(archive.records()[0].crc_computed);
  EXPECT_TRUE(archive.records()[1].crc_computed);
  EXPECT_EQ(text_of(archive.read(archive.records()[0], 7)), "weights");
}

TEST(ZipArchive, RefusesRecordsAboveTheCallersLimit) {
  const Archive archive = open(make_zip({{.name = "a", .data = "weights"}}));
  EXPECT_EQ(archive.read(archive.records()[0], 7).size(), 7u);
  try {
    archive.read(archive.records()[0], 6);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit_exceeded);
  }
  Limits limits;
  limits.records_max = 3;
  EXPECT_THROW(Archive::open(source_of(encoded(kSmall)), limits), Error);
}

// === What is refused
// ================================================================================================

// Fields of the first record of make_zip's archives.
struct Spot {
  const char* what;
  std::size_t local, central;  // offsets in the headers
};

TEST(ZipArchive, RefusesHeadersThatDisagree) {
  const std::string file = make_zip({{.name = "m/0", .data = "weights"}, {.name = "m/1", .data = "bias"}});
  const std::size_t directory = file.find("PK\1\2");
  for (const Spot& spot : std::initializer_list<Spot>{{"flags", 6, 8},
                                                      {"method", 8, 10},
                                                      {"CRC", 14, 16},
                                                      {"stored size", 18, 20},
                                                      {"size", 22, 24},
                                                      {"name", 30, 46}})
    for (const std::size_t at : {spot.local, directory + spot.central}) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ 2);
      EXPECT_TRUE(fault_of(changed)) << spot.what << " at " << at;
    }
}

TEST(ZipArchive, RefusesMethodsAndFlagsItDoesNotKnow) {
  const std::string file = make_zip({{.name = "m/0", .data = "weights"}});
  const std::size_t directory = file.find("PK\1\2");
  const auto with = [&](std::size_t local, std::size_t central, std::uint64_t value) {
    return replaced(replaced(file, local, u16(value)), directory + central, u16(value));
  };
  for (const unsigned bit : {0x1u, 0x10u, 0x20u, 0x40u, 0x80u, 0x1000u, 0x2000u, 0x4000u, 0x8000u})
    EXPECT_EQ(fault_of(with(6, 8, bit)), Code::unsupported_container) << bit;
  for (const unsigned method : {1u, 6u, 9u, 12u, 14u, 93u, 99u})
    EXPECT_EQ(fault_of(with(8, 10, method)), Code::unsupported_container) << method;
}

TEST(ZipArchive, RefusesSeveralDisks) {
  const std::string file = make_zip({{.name = "m/0", .data = "weights"}}, true);
  const std::size_t end = file.rfind("PK\5\6"), locator = end - 20, wide = locator - 56;
  for (const std::size_t at : {end + 4, end + 6, locator + 4, wide + 16, wide + 20})
    EXPECT_TRUE(fault_of(replaced(file, at, u16(1)))) << at;
  EXPECT_EQ(fault_of(replaced(file, locator + 16, u32(2))), Code::unsupported_container);
  EXPECT_EQ(fault_of(replaced(file, file.find("PK\1\2") + 34, u16(1))), Code::unsupported_container);
}

TEST(ZipArchive, RefusesTwoRecordsOfOneName) {
  const auto pair = [](std::string a, std::string b) {
    return fault_of(
        make_zip({{.name = a, .data = "1"}, {.name = "x", .data = ""}, {.name = b, .data = "2"}}));
  };
  EXPECT_EQ(pair("m/data.pkl", "m/data.pkl"), Code::duplicate_record);
  EXPECT_EQ(pair("m/data.pkl", "m/DATA.pkl"), Code::duplicate_record);
  EXPECT_EQ(pair("m/data.pkl", std::string("m/data.pkl\0.txt", 15)), Code::duplicate_record);
  EXPECT_EQ(pair("", ""), Code::duplicate_record);
  EXPECT_FALSE(pair("m/data.pkl", "m/data.pkl2"));
  EXPECT_FALSE(pair("m/\xc3\xa4", "m/\xc3\x84"));  // only ASCII letters have two cases here
}

TEST(ZipArchive, RefusesRecordsThatShareBytes) {
  const std::string file = make_zip({{.name = "m/0", .data = "weights"}, {.name = "m/0", .data = "weights"}});
  const std::size_t second = file.rfind("PK\1\2");
  EXPECT_EQ(fault_of(replaced(file, second + 42, u32(0))), Code::bad_zip);
  // A stored record that holds the whole next record as its data.
  const std::string inner = make_zip({{.name = "m/1", .data = "inner"}});
  const std::string record = inner.substr(0, inner.find("PK\1\2"));
  const std::string outer = make_zip({{.name = "m/0", .data = record}, {.name = "m/1", .data = "inner"}});
  EXPECT_FALSE(fault_of(outer));
  EXPECT_EQ(fault_of(replaced(outer, outer.rfind("PK\1\2") + 42, u32(33))), Code::bad_zip);
}

TEST(ZipArchive, RefusesASecondEndRecord) {
  const std::string file = make_zip({{.name = "a", .data = "x"}}, false, end_of(0, 0, 0));
  std::string what;
  EXPECT_EQ(fault_of(file, &what), Code::bad_zip);
  EXPECT_NE(what.find("two end records"), std::string::npos) << what;
  // One that is cut short by the end of the file, or does not reach it, is no less a trap.
  EXPECT_TRUE(fault_of(make_zip({{.name = "a", .data = "x"}}, false, end_of(0, 0, 0) + "tail")));
}

TEST(ZipArchive, RefusesBytesBeforeAndAfter) {
  const std::string file = make_zip({{.name = "a", .data = "x"}});
  EXPECT_EQ(fault_of("x" + file), Code::bad_zip);
  EXPECT_EQ(fault_of(file + "x"), Code::bad_zip);
  EXPECT_EQ(fault_of(file + file), Code::bad_zip);
  // With offsets that allow for it: a pickle in front of an archive.
  EXPECT_EQ(fault_of(make_zip({{.name = "a", .data = "x", .before = "\x80\2}."}})), Code::bad_zip);
}

TEST(ZipArchive, RefusesAGapBetweenDirectoryAndEnd) {
  std::string file = make_zip({{.name = "a", .data = "x"}});
  EXPECT_EQ(fault_of(file.insert(file.find("PK\5\6"), "gap")), Code::bad_zip);
}

TEST(ZipArchive, RefusesCountsThatAreWrong) {
  const std::string file = make_zip({{.name = "a", .data = "x"}, {.name = "b", .data = "y"}});
  const std::size_t end = file.find("PK\5\6");
  for (const std::uint64_t count : {0, 1, 3, 65535})
    EXPECT_EQ(fault_of(replaced(file, end + 8, u16(count) + u16(count))), Code::bad_zip) << count;
  EXPECT_EQ(fault_of(replaced(file, end + 8, u16(1))), Code::bad_zip);
}

TEST(ZipArchive, RefusesEndRecordsThatDisagree) {
  const std::string file = make_zip({{.name = "a", .data = "x"}}, true);
  const std::size_t end = file.rfind("PK\5\6"), wide = end - 76;
  for (const std::size_t at :
       {end + 8, end + 10, end + 12, end + 16, wide + 4, wide + 24, wide + 32, wide + 40, wide + 48})
    EXPECT_TRUE(fault_of(replaced(file, at, u16(7)))) << at;
  const std::string deferring = replaced(file, end + 8, std::string(12, '\xff'));
  EXPECT_FALSE(fault_of(deferring));
}

TEST(ZipArchive, UsesWideSizesExactlyAsNeeded) {
  const auto fault = [](bool wide_sizes, bool wide_offset, std::string values, std::string more = "") {
    return fault_of(make_zip({{.name = "a",
                               .data = "abc",
                               .central_extra = u16(1) + u16(values.size()) + values + more,
                               .wide_sizes = wide_sizes,
                               .wide_offset = wide_offset}}));
  };
  EXPECT_FALSE(fault(true, false, u64(3) + u64(3)));
  EXPECT_FALSE(fault(true, true, u64(3) + u64(3) + u64(0)));
  EXPECT_FALSE(fault(false, true, u64(0)));
  EXPECT_FALSE(fault(true, false, u64(3) + u64(3) + u64(0)));  // more than needed, but true
  EXPECT_FALSE(fault(false, false, u64(3)));
  EXPECT_EQ(fault(false, false, u64(4)), Code::zip_disagreement);
  EXPECT_EQ(fault(true, false, u64(3) + u64(3) + u64(1)), Code::zip_disagreement);
  EXPECT_EQ(fault(true, false, u64(3)), Code::bad_zip);
  EXPECT_EQ(fault(true, false, ""), Code::bad_zip);
  EXPECT_EQ(fault(true, false, u64(3) + u64(3) + "x"), Code::bad_zip);
  EXPECT_EQ(fault(false, true, u64(0) + u64(0)), Code::bad_zip);  // which of the two is the offset?
  EXPECT_EQ(fault(false, true, u64(std::uint64_t(-21))), Code::bad_zip);
  EXPECT_EQ(fault(true, false, u64(std::uint64_t(-1)) + u64(std::uint64_t(-1))), Code::bad_zip);
  EXPECT_EQ(fault(true, false, u64(3) + u64(3), u16(1) + u16(0)), Code::bad_zip);  // twice
}

TEST(ZipArchive, RefusesExtraFieldsThatCannotBeRead) {
  const auto fault = [](std::string local, std::string central) {
    return fault_of(make_zip({{.name = "a", .data = "abc", .local_extra = local, .central_extra = central}}));
  };
  const std::string good = "FB" + u16(2) + "ZZ", overrun = "FB" + u16(3) + "ZZ", rest = good + "Z";
  const std::string other_name = "up" + u16(6) + "\1____b", same_name = "up" + u16(6) + "\1____a";
  EXPECT_FALSE(fault(good, good));
  EXPECT_FALSE(fault(good + std::string(3, '\0'), same_name));
  for (const std::string& bad : {overrun, rest, other_name, u16(1) + u16(5) + "abcde"}) {
    EXPECT_TRUE(fault(bad, ""));
    EXPECT_TRUE(fault("", bad));
  }
}

TEST(ZipArchive, ErrorsNameRecordAndOffset) {
  std::string file = make_zip({{.name = "m/data/0", .data = "weights"}});
  file[38] ^= 1;  // the first byte of the data
  std::string what;
  EXPECT_EQ(fault_of(file, &what), Code::checksum_mismatch);
  EXPECT_NE(what.find("at byte 0x26 (38) in record 'm/data/0'"), std::string::npos) << what;
}

// === Deflate
// ========================================================================================================

TEST(ZipInflate, StreamsInPiecesOfAnySize) {
  std::string data;
  for (std::uint32_t i = 0; i < 400'000; ++i) data += std::to_string(i * 7919 % 1000);
  const SourcePtr source = source_of(make_zip({{.name = "a", .data = data, .deflate = true}}));
  const Archive archive = Archive::open(source, Limits{});
  const Record& record = archive.records()[0];
  EXPECT_EQ(text_of(archive.read(record, kNoLimit)), data);
  for (const std::size_t piece : {std::size_t{1021}, std::size_t{65536}, std::size_t{3} << 20}) {
    InflateStream stream(*source, record);
    std::string out(data.size(), '\0');
    for (std::size_t at = 0; at < out.size(); at += piece)
      stream.read(std::as_writable_bytes(std::span(out)).subspan(at, std::min(piece, out.size() - at)));
    EXPECT_EQ(stream.bytes_left(), 0u);
    stream.finish();
    EXPECT_EQ(out, data);
  }
}

TEST(ZipInflate, DemandsExactlyTheDeclaredBytes) {
  const std::string data = "weights weights weights weights", full = deflated(data);
  const auto fault = [&](std::string stored) {
    return fault_of(make_zip({{.name = "a", .data = data, .deflate = true, .stored = std::move(stored)}}));
  };
  EXPECT_FALSE(fault(full));
  EXPECT_EQ(fault(full + "x"), Code::bad_deflate);
  EXPECT_EQ(fault(full.substr(0, full.size() - 1)), Code::bad_deflate);
  EXPECT_EQ(fault(deflated(data + "s")), Code::bad_deflate);
  EXPECT_EQ(fault(deflated(data.substr(1))), Code::bad_deflate);
  EXPECT_EQ(fault(deflated(std::string(data.size(), 'x'))), Code::checksum_mismatch);
  EXPECT_EQ(fault("\x07" + full.substr(1)), Code::bad_deflate);  // no such block type
  const std::string open_ended =
      std::string("\x00\x1f\x00\xe0\xff", 5) + data;  // all bytes in a block that is not the final one
  ASSERT_EQ(data.size(), 0x1fu);
  EXPECT_EQ(fault(open_ended), Code::bad_deflate);
}

TEST(ZipInflate, FinishDemandsThatAllWasRead) {
  const SourcePtr source = source_of(make_zip({{.name = "a", .data = "abcdef", .deflate = true}}));
  const Archive archive = Archive::open(source, Limits{});
  InflateStream stream(*source, archive.records()[0]);
  std::byte out[7];
  stream.read(std::span(out, 5));
  EXPECT_THROW(stream.finish(), Error);
  EXPECT_THROW(stream.read(std::span(out, 2)), Error);
}

TEST(ZipInflate, RefusesClaimsThatDeflateCannotYield) {
  const std::string file = make_zip({{.name = "a", .data = "weights", .deflate = true}});
  const std::uint64_t stored = load_le<std::uint32_t>(as_bytes(file).subspan(18, 4).data());
  const auto claiming = [&](std::uint64_t size) {
    return replaced(replaced(file, 22, u32(size)), file.find("PK\1\2") + 24, u32(size));
  };
  EXPECT_THROW(open(claiming(1032 * stored + 1)), Error);
  EXPECT_NO_THROW(open(claiming(1032 * stored)));
}

TEST(ZipInflate, ReadsTheHighestRatio) {
  const std::string zeros(4 << 20, '\0');
  EXPECT_EQ(by_name(read_all(make_zip({{.name = "a", .data = zeros, .deflate = true}}))).at("a"), zeros);
}

// === Damage of every kind
// ===========================================================================================

std::vector<std::pair<std::string, std::string>> victims() {
  return {{"encoded", encoded(kSmall)},
          {"torch", torch_like(kSmall)},
          {"deflated",
           make_zip({{.name = "a", .data = "weights weights", .deflate = true},
                     {.name = "b", .data = "bias bias bias", .deflate = true, .footer = Footer::signed32}})},
          {"wide", make_zip({{.name = "a",
                              .data = "abc",
                              .local_extra = u16(1) + u16(16) + u64(3) + u64(3),
                              .central_extra = u16(1) + u16(24) + u64(3) + u64(3) + u64(0),
                              .wide_sizes = true,
                              .wide_offset = true}},
                            true, "comment")},
          {"gap", make_zip({{.name = "a", .data = "x"},
                            {.name = "b", .data = "y", .before = std::string(80, 'g')}})}};
}

TEST(ZipDamage, EveryPrefixThrows) {
  for (const auto& [kind, file] : victims())
    for (std::size_t size = 0; size < file.size(); ++size)
      ASSERT_TRUE(fault_of(file.substr(0, size))) << kind << " cut at " << size;
}

TEST(ZipDamage, EveryBitFlipThrowsOrChangesNothing) {
  for (const auto& [kind, file] : victims()) {
    const Contents before = read_all(file);
    std::size_t harmless = 0;
    for (std::size_t bit = 0; bit < 8 * file.size(); ++bit) {
      std::string flipped = file;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      try {
        ASSERT_EQ(read_all(flipped), before) << kind << ", bit " << bit % 8 << " of byte " << bit / 8;
        ++harmless;
      } catch (const Error&) {
      }
    }
    // Dates, versions, attributes, padding, gaps: some bits mean nothing, most mean something.
    EXPECT_LT(harmless, 8 * file.size() * 3 / 4) << kind;
  }
}

TEST(ZipDamage, EveryByteSetToExtremesIsSurvived) {
  for (const auto& [kind, file] : victims()) {
    const Contents before = read_all(file);
    for (std::size_t at = 0; at < file.size(); ++at)
      for (const std::size_t width : {1, 2, 4, 8})
        for (const char value : {'\0', '\xff', '\x7f'}) {
          std::string changed = file;
          changed.replace(at, std::min(width, file.size() - at), std::min(width, file.size() - at), value);
          try {
            // Wider changes may reach a CRC and its copies at once, so only what is readable is compared.
            for (const auto& [record, data] : read_all(changed))
              ASSERT_EQ(data.size(), record.size) << kind << at;
          } catch (const Error&) {
          }
        }
  }
}

// === Work
// ===========================================================================================================

TEST(ZipWork, SmallRecordsAreOpenedWithFewReads) {
  auto source = std::make_shared<SparseSource>();
  std::vector<std::pair<std::string, std::string>> records;
  for (int i = 0; i < 100'000; ++i) records.push_back({"m/data/" + std::to_string(i), "01234567"});
  source->put(0, torch_like(records));
  EXPECT_EQ(Archive::open(source, Limits{}).records().size(), records.size());
  EXPECT_LT(source->reads, 300u);
}

TEST(ZipWork, LargeRecordsAreNotRead) {
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back("m/data/" + std::to_string(i));
  std::vector<Entry> entries;
  for (const std::string& name : names) entries.push_back({name, std::uint64_t{16} << 20});
  const auto source = encoded_sparse(entries);
  EXPECT_EQ(Archive::open(source, Limits{}).records().size(), entries.size());
  EXPECT_LT(source->bytes_read, 300'000u);
}

// === Recognition
// ====================================================================================================

TEST(ZipLikeness, ExplainsItself) {
  const std::string file = make_zip({{.name = "a", .data = "x"}});
  const auto matches = [](std::string_view text) {
    const Likeness likeness = looks_like_zip(*source_of(text));
    EXPECT_FALSE(likeness.reason.empty());
    return likeness.matches;
  };
  EXPECT_TRUE(matches(file));
  EXPECT_TRUE(matches(file.substr(0, 10)));
  EXPECT_TRUE(matches("\x80\2}q\1." + file));
  EXPECT_TRUE(matches("\x80\2}q\1." + file + "junk"));
  EXPECT_TRUE(matches(end_of(0, 0, 0)));
  EXPECT_FALSE(matches(""));
  EXPECT_FALSE(matches("PK"));
  EXPECT_FALSE(matches("\x80\2}q\1."));
  EXPECT_FALSE(matches("\x80\2}q\1. PK\5\6 and then some more bytes of a tensor"));
}

// === Files that others wrote
// ========================================================================================

bool is_zip(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  return file.read(magic, 4) && std::string_view(magic, 4) == "PK\3\4";
}

TEST(ZipFiles, EveryArchiveOfTheCorpusReads) {
  if (!fs::exists(shared() / "corpus")) GTEST_SKIP() << "no corpus in " << shared();
  std::size_t read = 0;
  for (const auto& file : fs::recursive_directory_iterator(shared() / "corpus")) {
    if (!file.is_regular_file() || !is_zip(file.path())) continue;
    try {
      const Archive archive = Archive::open(open_file(file.path()), Limits{});
      for (const auto& [record, data] : read_all(archive)) EXPECT_EQ(data.size(), record.size);
      ++read;
    } catch (const Error& error) {
      ADD_FAILURE() << file.path() << ": " << error.what();
    }
  }
  EXPECT_GT(read, 400u);
}

// Rows whose archive is sound: what is wrong stands in the records, or in what is missing.
const std::vector<std::string> kDecidedAbove = {
    "zc-byteorder-junk.pt", "zc-byteorder-nonutf8.pt", "zc-case-only.pt",  "zc-empty.pt",
    "zc-first-not-top.pt",  "zc-no-data1.pt",          "zc-no-top.pt",     "zc-no-version.pt",
    "zc-version-9999.pt",   "zc-version-huge.pt",      "zc-version-neg.pt"};

TEST(ZipFiles, HostileRowsAreDecidedAsTheManifestSays) {
  const fs::path folder = shared() / "hostile" / "files";
  if (!fs::exists(folder)) GTEST_SKIP() << "no hostile files in " << shared();
  std::ifstream manifest(folder / "MANIFEST.tsv");
  std::string line;
  std::size_t rows = 0;
  while (std::getline(manifest, line)) {
    std::istringstream fields(line);
    std::string file, kind, expect;
    std::getline(std::getline(std::getline(fields, file, '\t'), kind, '\t'), expect, '\t');
    if (!kind.starts_with("zip") && !file.starts_with("zc-") && file != "ok-zip.pt" &&
        file != "ok-zip-deflate.pt")
      continue;
    const bool above = std::find(kDecidedAbove.begin(), kDecidedAbove.end(), file) != kDecidedAbove.end();
    const SourcePtr source = open_file(folder / file);
    bool accepted = looks_like_zip(*source).matches;
    std::string why = "looks like no zip archive";
    try {
      if (accepted) read_all(Archive::open(source, Limits{}), Limits{}.inflated_pickle_max);
    } catch (const Error& error) {
      accepted = false;
      why = error.what();
    }
    EXPECT_EQ(accepted, expect == "accept" || above) << file << ": " << why;
    ++rows;
  }
  EXPECT_GT(rows, 90u);
}

}  // namespace
}  // namespace ferry::zip
