// numpy's files: arrays with headers that numpy writes, and that it never would; archives of arrays, stored
// and deflated.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "formats/copy/storage_stream.h"
#include "formats/numpy/readers.h"
#include "formats/zip/archive.h"
#include "formats/zip/crc32.h"
#include "formats/zip/inflated_source.h"
#include "src/core/error.h"
#include "tests/support/content.h"

namespace ferry {
namespace {

using test::content_of;
using test::with_bit_flipped;

template <typename T>
std::string le(T value) {
  std::string text(sizeof(T), '\0');
  store_le(reinterpret_cast<std::byte*>(text.data()), value);
  return text;
}
std::string u16(std::size_t value) { return le(static_cast<std::uint16_t>(value)); }
std::string u32(std::size_t value) { return le(static_cast<std::uint32_t>(value)); }

SourcePtr source_of(std::string_view text, std::string name = "test") {
  const Bytes bytes = as_bytes(text);
  return std::make_shared<MemorySource>(std::move(name), std::vector<std::byte>(bytes.begin(), bytes.end()));
}

// --- files made by hand

std::string array_of(const std::string& header, std::string_view data, char version = 1) {
  std::string text = "\x93NUMPY" + std::string(1, version) + std::string(1, '\0');
  return text + (version == 1 ? u16(header.size()) : u32(header.size())) + header + std::string(data);
}
std::string array_of(const std::string& descr, const std::string& shape, std::string_view data,
                     bool fortran = false) {
  return array_of("{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
                      ", 'shape': " + shape + ", }   \n",
                  data);
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

struct Piece {
  std::string name, data;
  bool deflate = false;
};

// An archive as Python's zipfile lays it out.
std::string archive_of(const std::vector<Piece>& pieces) {
  std::string file, directory;
  for (const Piece& piece : pieces) {
    const std::string stored = piece.deflate ? deflated(piece.data) : piece.data;
    const std::string common = u16(20) + u16(0) + u16(piece.deflate ? 8 : 0) + u16(0) + u16(0x21) +
                               u32(zip::crc32(0, as_bytes(piece.data))) + u32(stored.size()) +
                               u32(piece.data.size()) + u16(piece.name.size()) + u16(0);
    directory +=
        "PK\x01\x02" + u16(20) + common + u16(0) + u16(0) + u16(0) + u32(0) + u32(file.size()) + piece.name;
    file += "PK\x03\x04" + common + piece.name + stored;
  }
  return file + directory + "PK\x05\x06" + u32(0) + u16(pieces.size()) + u16(pieces.size()) +
         u32(directory.size()) + u32(file.size()) + u16(0);
}

Checkpoint open_array(std::string_view file) { return numpy::open_npy(source_of(file), Limits{}); }
Checkpoint open_archive(std::string_view file) { return numpy::open_npz(source_of(file), Limits{}); }

template <typename Open>
std::optional<Code> complaint(Open open) {
  try {
    open();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}
std::optional<Code> complaint_about(const std::string& array) {
  return complaint([&] { open_array(array); });
}

// The elements of a tensor's storage in the byte order of the machine, CRC checked.
std::string elements(const Checkpoint& checkpoint, std::size_t tensor) {
  const Storage& storage = checkpoint.storages.at(checkpoint.tensors.at(tensor).storage);
  std::vector<std::byte> bytes(storage.bytes.size);
  copy::StorageStream(storage).read(bytes);
  return std::string(as_text(Bytes(bytes)));
}

std::vector<std::int64_t> shape_of(const Checkpoint& checkpoint, std::size_t tensor) {
  const auto shape = checkpoint.shape(checkpoint.tensors.at(tensor));
  return {shape.begin(), shape.end()};
}
std::vector<std::int64_t> strides_of(const Checkpoint& checkpoint, std::size_t tensor) {
  const auto strides = checkpoint.strides(checkpoint.tensors.at(tensor));
  return {strides.begin(), strides.end()};
}

bool has_note(const Checkpoint& checkpoint, Code code) {
  return std::any_of(checkpoint.notes.begin(), checkpoint.notes.end(),
                     [&](const Note& note) { return note.code == code; });
}

using Sizes = std::vector<std::int64_t>;

// --- .npy

TEST(Npy, ReadsAnArrayAsTheRoot) {
  const Checkpoint checkpoint = open_array(array_of("<i2", "(2, 3)", "aabbccddeeff"));
  EXPECT_EQ(checkpoint.values.kind(checkpoint.values.root()), Kind::tensor);
  EXPECT_EQ(checkpoint.tensors.at(0).dtype, DType::int16);
  EXPECT_EQ(shape_of(checkpoint, 0), (Sizes{2, 3}));
  EXPECT_EQ(strides_of(checkpoint, 0), (Sizes{3, 1}));
  EXPECT_EQ(elements(checkpoint, 0), "aabbccddeeff");
  EXPECT_TRUE(has_note(checkpoint, Code::no_checksums));
}

TEST(Npy, FortranOrderBecomesStridesAndBigEndianIsSwappedWhenRead) {
  const Checkpoint fortran = open_array(array_of("|u1", "(2, 3)", "abcdef", true));
  EXPECT_EQ(strides_of(fortran, 0), (Sizes{1, 2}));
  const Checkpoint big = open_array(array_of(">c8", "(1,)", "abcdABCD"));
  EXPECT_EQ(elements(big, 0), "dcbaDCBA");
  EXPECT_EQ(elements(open_array(array_of(">u2", "()", "ab")), 0), "ba");
}

TEST(Npy, KnowsTheTypesThatTorchHas) {
  const std::vector<std::pair<std::string, DType>> types = {
      {"|b1", DType::boolean},    {"|i1", DType::int8},        {"<i2", DType::int16},
      {"<i4", DType::int32},      {"<i8", DType::int64},       {"|u1", DType::uint8},
      {"<u2", DType::uint16},     {"<u4", DType::uint32},      {"<u8", DType::uint64},
      {"<f2", DType::float16},    {"<f4", DType::float32},     {"<f8", DType::float64},
      {"<c8", DType::complex64},  {"<c16", DType::complex128}, {"<V2", DType::bfloat16},
      {"<f1", DType::float8_e5m2}};
  for (const auto& [descr, dtype] : types) {
    const Checkpoint checkpoint = open_array(array_of(descr, "(1,)", std::string(info(dtype).itemsize, 'x')));
    EXPECT_EQ(checkpoint.tensors.at(0).dtype, dtype) << descr;
  }
  for (const char* descr : {"<f16", "<c32", "|V2", "<V1", "|V2000000000", "<U0"})
    EXPECT_EQ(complaint_about(array_of(descr, "(1,)", "xx")), Code::unsupported_value) << descr;
  for (const char* descr :
       {"<f3", "", "<", "f", "<i3", "<x4", "<f-4", "<f4x", "<M8[s", "<f4[s]", "<f99999999999"})
    EXPECT_EQ(complaint_about(array_of(descr, "(1,)", "xx")), Code::bad_npy) << descr;
}

TEST(Npy, ReadsHeadersAsEveryNumpyWroteThem) {
  const std::string data(12, 'x');
  for (const char* header : {"{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
                             "{\"shape\":(2L,3L),\"fortran_order\":False,\"descr\":\"<i2\"}  \n",
                             "{ 'fortran_order' : False , 'descr' : '<i2' , 'shape' : ( 2 , 3 , ) }"})
    for (const char version : {'\1', '\2', '\3'})
      EXPECT_EQ(shape_of(open_array(array_of(std::string(header), data, version)), 0), (Sizes{2, 3}))
          << header;
  EXPECT_EQ(shape_of(open_array(array_of("<i2", "(6,)", data)), 0), (Sizes{6}));
  EXPECT_EQ(shape_of(open_array(array_of("<i2", "(3, 0)", "")), 0), (Sizes{3, 0}));
  EXPECT_EQ(complaint_about(array_of(std::string("{}"), "", 4)), Code::bad_version);
}

TEST(Npy, EvaluatesNothing) {
  const std::string rest = "'fortran_order': False, 'shape': (1,)}";
  for (const std::string& header :
       {std::string("__import__('os')"), std::string("{}"), "{'descr': '<i' + '2', " + rest,
        "{'descr': '<i2', 'descr': '<i2', " + rest, "{'descr': '<i2', 'x': 1, " + rest,
        "{'descr': '\\x3ci2', " + rest, "{'descr': '<i2', " + rest + " + {}", "{'descr': None, " + rest,
        "{'descr': '<i2' " + rest, "['descr', '<i2', " + rest, "{'descr': '<i2, " + rest})
    EXPECT_EQ(complaint_about(array_of(header, "xx")), Code::bad_npy) << header;
  for (const char* shape : {"(1", "1", "(1)", "[1]", "(-1,)", "(1.0,)", "(01,)", "(0x1,)", "(1,,)", "(,)",
                            "(int(1),)", "(9223372036854775808,)", "((1,),)"})
    EXPECT_EQ(complaint_about(array_of("<i2", shape, "xx")), Code::bad_npy) << shape;
  EXPECT_EQ(complaint_about(array_of("{'descr': [('a', '<i2')], " + rest, "xx")), Code::unsupported_value);
}

TEST(Npy, NeedsJustTheBytesOfItsShape) {
  EXPECT_EQ(complaint_about(array_of("<f4", "(2,)", "1234")), Code::truncated);
  EXPECT_EQ(complaint_about(array_of("<f4", "(2,)", "123456789")), Code::bad_npy);
  EXPECT_EQ(complaint_about(array_of("<f4", "(4611686018427387904,)", "")), Code::bad_npy);
  EXPECT_EQ(complaint_about(array_of("<f4", "(0, 9223372036854775807, 9223372036854775807)", "")),
            Code::bad_npy);
  EXPECT_EQ(complaint_about(array_of("<U4", "(1099511627776, 0)", "")), Code::unsupported_value);
  const std::string whole = array_of("<f4", "(2,)", "12345678");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_TRUE(complaint_about(whole.substr(0, size))) << size;
}

TEST(Npy, TextBecomesListsAndDatesBecomeIntegers) {
  const Checkpoint text = open_array(array_of("|S2", "(2, 2)", std::string("abc\0d\0\0\0", 8)));
  const ValueGraph& graph = text.values;
  ASSERT_EQ(graph.kind(graph.root()), Kind::list);
  const NodeId row = graph.items(graph.root())[0];
  EXPECT_EQ(graph.text(graph.items(row)[0]), "ab");
  EXPECT_EQ(graph.text(graph.items(row)[1]), "c");
  EXPECT_TRUE(has_note(text, Code::object_to_data));
  const Checkpoint big = open_array(array_of(">U1", "()", std::string("\0\0\0\xe9", 4)));
  EXPECT_TRUE(big.values.is_text(big.values.root(), "\u00e9"));
  const Checkpoint date = open_array(array_of("<M8[ns]", "(1,)", "12345678"));
  EXPECT_EQ(date.tensors.at(0).dtype, DType::int64);
  EXPECT_TRUE(has_note(date, Code::lost_value));
}

TEST(Npy, RefusesUnsafeNamesInObjectsAndReadsTheRest) {
  EXPECT_EQ(complaint_about(array_of("|O", "(1,)", "cos\nsystem\n(S'true'\ntR.")), Code::unsafe_global);
  // numpy pickles a dict as an array without dimensions.
  const std::string_view pickle =
      "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(tcnumpy\ndtype\n(S'O8'"
      "\nI0\nI1\n"
      "tR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI00\n((dS'a'\nI7\nsltb.";
  const Checkpoint checkpoint = open_array(array_of("|O", "()", pickle));
  const ValueGraph& graph = checkpoint.values;
  ASSERT_EQ(graph.kind(graph.root()), Kind::dict);
  EXPECT_EQ(graph.as_integer(graph.find(graph.root(), "a")), 7);
}

// Nothing at all, in 2^40 lists.
TEST(Npy, RefusesAShapeOfTooManyEmptyLists) {
  const std::string_view pickle =
      "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
      "I1099511627776\nI0\ntcnumpy\ndtype\n"
      "(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI00\n(ltb.";
  EXPECT_EQ(complaint_about(array_of("|O", "(1099511627776, 0)", pickle)), Code::unsupported_value);
}

// --- .npz

std::vector<Piece> two_arrays(bool deflate) {
  return {{"w.npy", array_of("<f4", "(2, 3)", "aaaabbbbccccddddeeeeffff"), deflate},
          {"b.npy", array_of(">i2", "(2,)", "abcd"), deflate}};
}

TEST(Npz, ReadsArraysInTheOrderOfTheArchive) {
  for (const bool deflate : {false, true}) {
    const Checkpoint checkpoint = open_archive(archive_of(two_arrays(deflate)));
    const ValueGraph& graph = checkpoint.values;
    ASSERT_EQ(graph.entry_count(graph.root()), 2u);
    EXPECT_EQ(graph.text(graph.entry(graph.root(), 0).key), "w");
    EXPECT_EQ(graph.text(graph.entry(graph.root(), 1).key), "b");
    EXPECT_EQ(elements(checkpoint, 0), "aaaabbbbccccddddeeeeffff");
    EXPECT_EQ(elements(checkpoint, 1), "badc");
    EXPECT_EQ(checkpoint.storages.at(0).bytes.crc, zip::crc32(0, as_bytes("aaaabbbbccccddddeeeeffff")));
    EXPECT_TRUE(checkpoint.notes.empty());
  }
}

TEST(Npz, SeesDamageOfAnArrayAloneWhenItIsRead) {
  std::string file = archive_of(two_arrays(false));
  file[file.find("ffff")] ^= 1;
  const Checkpoint checkpoint = open_archive(file);
  EXPECT_EQ(complaint([&] { elements(checkpoint, 0); }), Code::checksum_mismatch);
  EXPECT_EQ(elements(checkpoint, 1), "badc");
}

TEST(Npz, EveryPrefixIsRejected) {
  for (const bool deflate : {false, true}) {
    const std::string whole = archive_of(two_arrays(deflate));
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_TRUE(complaint([&] { open_archive(whole.substr(0, size)); })) << size;
  }
}

TEST(Npz, EveryFlippedBitIsRejectedOrChangesNothing) {
  for (const bool deflate : {false, true}) {
    auto pieces = two_arrays(deflate);
    pieces.push_back({"empty.npy", array_of("<f4", "(0,)", ""), deflate});
    pieces.push_back({"text.npy", array_of("|S1", "(2,)", "xy"), deflate});
    const std::string whole = archive_of(pieces);
    const Bytes bytes = as_bytes(whole);
    // Names of members have no checksum, but stand twice; a name that changes with its twin is another file.
    const std::string content = content_of(open_archive(whole));
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      const auto damaged = with_bit_flipped({bytes.begin(), bytes.end()}, bit);
      complaint([&] {
        EXPECT_EQ(content_of(open_archive(as_text(Bytes(damaged)))), content)
            << (deflate ? "deflated, " : "stored, ") << "bit " << bit % 8 << " of byte " << bit / 8;
      });
    }
  }
}

TEST(Npz, LeavesOutWhatIsNoArrayAndSaysSo) {
  auto pieces = two_arrays(false);
  pieces.push_back({"notes.txt", "hello"});
  const Checkpoint checkpoint = open_archive(archive_of(pieces));
  EXPECT_EQ(checkpoint.tensors.size(), 2u);
  EXPECT_TRUE(has_note(checkpoint, Code::archive_metadata));
  pieces.push_back({"broken.npy", "hello"});
  EXPECT_EQ(complaint([&] { open_archive(archive_of(pieces)); }), Code::bad_npy);
}

TEST(Npz, RefusesUnsafeNamesAlsoBehindABrokenArray) {
  const Piece broken{"a.npy", array_of("<f3", "(1,)", "abc")};
  const Piece unsafe{"b.npy", array_of("|O", "(1,)", "cos\nsystem\n(S'true'\ntR."), true};
  const Piece plain{"b.npy", array_of("|O", "(1,)", "(l.")};
  EXPECT_EQ(complaint([&] { open_archive(archive_of({broken, unsafe})); }), Code::unsafe_global);
  EXPECT_EQ(complaint([&] { open_archive(archive_of({plain})); }), Code::unsupported_value);
}

TEST(Npz, RefusesAnArchiveThatTorchWouldLoad) {
  auto pieces = two_arrays(false);
  pieces.push_back({"archive/data.pkl", "cos\nsystem\n(S'true'\ntR."});
  EXPECT_EQ(complaint([&] { open_archive(archive_of(pieces)); }), Code::unsupported_container);
}

TEST(Npz, IsKnownByItsFirstRecordOrItsName) {
  const auto matches = [](const std::string& file, const char* name) {
    return numpy::looks_like_npz(*source_of(file, name)).matches;
  };
  EXPECT_TRUE(matches(archive_of(two_arrays(false)), "a.pt"));
  EXPECT_TRUE(matches(archive_of({{"x.txt", "x"}}), "a.npz"));
  EXPECT_TRUE(matches(archive_of({}), "a.npz"));
  EXPECT_FALSE(matches(archive_of({{"archive/data.pkl", "x"}}), "a.npz"));
  EXPECT_FALSE(matches(archive_of({{"x.txt", "x"}}), "a.zip"));
  EXPECT_FALSE(matches("cos\nsystem\n(tR.", "a.npz"));
}

// --- deflated records as sources

TEST(InflatedSource, ReadsFromMemoryAndFromTheFileAlike) {
  std::string data;
  for (int i = 0; i < 400'000; ++i) data += std::to_string(i);
  const auto file = source_of(archive_of({{"a", data, true}, {"b", data, true}}));
  const zip::Archive archive = zip::Archive::open(file, Limits{});
  // Room for one of the two.
  const auto space = std::make_shared<zip::InflatedSpace>(data.size() + 10);
  for (const zip::Record& record : archive.records()) {
    const zip::InflatedSource source(file, record, space);
    ASSERT_EQ(source.size(), data.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 4; ++i)
      threads.emplace_back([&, i] {
        const std::size_t at = data.size() / 4 * i;
        EXPECT_EQ(as_text(Bytes(source.read({at, 1000}))), std::string_view(data).substr(at, 1000));
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(complaint([&] { source.read({data.size() - 1, 2}); }), Code::truncated);
  }
}

TEST(InflatedSource, HandsOutNothingOfADamagedRecord) {
  std::string file = archive_of({{"a", std::string(1000, 'x'), true}});
  file[14] ^= 1;  // the CRC beside the data, and that in the directory
  file[file.find("PK\x01\x02") + 16] ^= 1;
  const auto source = source_of(file);
  const zip::Archive archive = zip::Archive::open(source, Limits{});
  for (const std::uint64_t memory : {std::uint64_t{1} << 20, std::uint64_t{0}}) {
    const zip::InflatedSource inflated(source, archive.records().at(0),
                                       std::make_shared<zip::InflatedSpace>(memory));
    for (int again = 0; again < 2; ++again)
      EXPECT_EQ(complaint([&] { inflated.read({0, 1}); }), Code::checksum_mismatch);
  }
}

}  // namespace
}  // namespace ferry
