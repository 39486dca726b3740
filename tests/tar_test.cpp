// The walk over tar archives: forms of one thing that writers really use, and forms that hide something.
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "formats/tar/archive.h"

namespace ferry::tar {
namespace {

struct Block {
  std::string name = "pickle";
  char type = '0';
  std::string data = {};
  std::string size = {};  // of the field; empty: that of the data, in octal
  std::string magic = std::string(
      "ustar\0"
      "00",
      8);
  std::string prefix = {};
};

std::string padded(std::string text) {
  text.resize((text.size() + 511) / 512 * 512, '\0');
  return text;
}

std::string member(const Block& block) {
  std::string head(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { head.replace(at, text.size(), text); };
  char octal[16];
  std::snprintf(octal, sizeof octal, "%011zo", block.data.size());
  put(0, block.name);
  put(124, block.size.empty() ? octal : block.size);
  put(148, "        ");
  put(156, std::string(1, block.type));
  put(257, block.magic);
  put(345, block.prefix);
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  std::snprintf(octal, sizeof octal, "%06o", sum);
  put(148, std::string(octal) + '\0' + ' ');
  return head + padded(block.data);
}

std::string pax(const std::string& key, const std::string& value) {
  std::size_t size = key.size() + value.size() + 3;
  while (std::to_string(size).size() + key.size() + value.size() + 3 != size) ++size;
  return std::to_string(size) + " " + key + "=" + value + "\n";
}

const std::string kEnd(1024, '\0');

Archive open_text(const std::string& text) {
  const Bytes bytes = as_bytes(text);
  return Archive::open(
      std::make_shared<MemorySource>("a.tar", std::vector<std::byte>(bytes.begin(), bytes.end())), Limits{});
}

std::string data_of(const Archive& archive, const std::string& name) {
  const Member* member = archive.find(name);
  if (member == nullptr) return "missing";
  const SourcePtr part = archive.bytes_of(*member);
  const auto bytes = part->read({0, part->size()});
  return std::string(as_text(Bytes(bytes)));
}

Code code_of(const std::function<void()>& step) {
  try {
    step();
  } catch (const Error& error) {
    EXPECT_FALSE(error.where().empty()) << error.what();
    return error.code();
  }
  return Code::internal;
}

Code code_of(const std::string& text) {
  return code_of([&] { open_text(text); });
}

TEST(Tar, NamesComeFromTheHeaderThePrefixPaxAndGnu) {
  EXPECT_EQ(data_of(open_text(member({.data = "x"}) + kEnd), "pickle"), "x");
  EXPECT_EQ(data_of(open_text(member({.name = "b", .data = "x", .prefix = "a"}) + kEnd), "a/b"), "x");
  EXPECT_EQ(data_of(open_text(member({.name = "././@PaxHeader", .type = 'x', .data = pax("path", "pickle")}) +
                              member({.name = "short", .data = "x"}) + kEnd),
                    "pickle"),
            "x");
  EXPECT_EQ(
      data_of(open_text(member({.name = "././@LongLink", .type = 'L', .data = std::string("pickle\0", 7)}) +
                        member({.name = "short", .data = "x"}) + kEnd),
              "pickle"),
      "x");
}

TEST(Tar, AnExtendedHeaderHoldsForOneMember) {
  const Archive archive =
      open_text(member({.type = 'x', .data = pax("mtime", "1490000000.25") + pax("path", "a")}) +
                member({.name = "one", .data = "1"}) + member({.name = "two", .data = "2"}) + kEnd);
  EXPECT_EQ(data_of(archive, "a"), "1");
  EXPECT_EQ(data_of(archive, "two"), "2");
}

TEST(Tar, SizesComeInOctalInBase256AndInPax) {
  const std::string wide = "\x80" + std::string(10, '\0') + "\x03";
  EXPECT_EQ(data_of(open_text(member({.data = "abc", .size = wide}) + kEnd), "pickle"), "abc");
  EXPECT_EQ(data_of(open_text(member({.type = 'x', .data = pax("size", "3")}) +
                              member({.data = "abc", .size = "00000000000"}) + kEnd),
                    "pickle"),
            "abc");
  EXPECT_EQ(data_of(open_text(member({.data = "abc", .size = "          3 "}) + kEnd), "pickle"), "abc");
}

TEST(Tar, OldHeadersWithoutMagicAreTarToo) {
  const std::string old = member({.type = '\0', .data = "x", .magic = ""}) + kEnd;
  EXPECT_EQ(data_of(open_text(old), "pickle"), "x");
  const Bytes bytes = as_bytes(old);
  EXPECT_TRUE(looks_like_tar(MemorySource("a", std::vector<std::byte>(bytes.begin(), bytes.end()))).matches);
}

TEST(Tar, LinksFoldersAndDevicesAreListedButNeverRead) {
  for (const char type : {'1', '2', '3', '4', '5', '6'}) {
    const Archive archive = open_text(member({.type = type}) + member({.name = "other", .data = "x"}) + kEnd);
    EXPECT_EQ(code_of([&] { archive.find("pickle"); }), Code::bad_tar) << type;
    EXPECT_EQ(data_of(archive, "other"), "x");
    EXPECT_EQ(code_of(member({.type = type, .data = "bytes"}) + kEnd), Code::bad_tar) << type;
  }
}

TEST(Tar, WhatCouldBeReadInTwoWaysIsRefused) {
  const std::string one = member({.data = "x"});
  EXPECT_EQ(code_of([&] { open_text(one + one + kEnd).find("pickle"); }), Code::duplicate_record);
  EXPECT_EQ(code_of(member({.type = 'g', .data = pax("path", "pickle")}) + one + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.type = 'g', .data = pax("size", "1")}) + one + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.type = 'x', .data = pax("path", "a")}) + member({.type = 'L', .data = "b"}) +
                    one + kEnd),
            Code::bad_tar);
  EXPECT_EQ(code_of(member({.type = 'x', .data = pax("path", "a")}) + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(one + std::string(512, '\0') + one + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.type = 'S', .data = "x"}) + kEnd), Code::unsupported_container);
  EXPECT_EQ(code_of(member({.type = 'x', .data = pax("GNU.sparse.major", "1")}) + one + kEnd),
            Code::unsupported_container);
}

TEST(Tar, PaxRecordsOfImpossibleLengthEndIt) {
  for (const char* record : {"0 path=x\n", "3 path=x\n", "99 path=x\n", "9 path=xx", "8 path\n\n", "path=x\n",
                             " 9 path=x\n", "18446744073709551616 path=x\n", "-9 path=x\n"})
    EXPECT_EQ(code_of(member({.type = 'x', .data = record}) + member({}) + kEnd), Code::bad_tar) << record;
}

TEST(Tar, SizesThatCannotBeAreRefused) {
  EXPECT_EQ(code_of(member({.size = "77777777777"}) + kEnd), Code::truncated);
  EXPECT_EQ(code_of(member({.size = "\x80\x7f" + std::string(10, '\x7f')}) + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.size = "0000000008 "}) + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.size = "-0000000001"}) + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.size = "           "}) + kEnd), Code::bad_tar);
  EXPECT_EQ(code_of(member({.type = 'x', .data = pax("size", "9223372036854775807")}) + member({}) + kEnd),
            Code::truncated);
}

TEST(Tar, TheEndMarkerIsNeeded) {
  const std::string one = member({.data = "x"});
  EXPECT_EQ(code_of(one), Code::truncated);
  EXPECT_EQ(code_of(one + std::string(512, '\0')), Code::truncated);
  EXPECT_EQ(open_text(one + kEnd + std::string(8192, '\0')).end(), one.size() + 1024);
}

TEST(Tar, ABrokenArchiveGivesTheMembersBeforeTheBreak) {
  const std::string text =
      member({.name = "a", .data = "1"}) + member({.name = "b", .data = std::string(600, 'b')});
  const std::string cut = text.substr(0, text.size() - 600);
  const Bytes bytes = as_bytes(cut);
  std::optional<Error> why;
  const Archive archive = Archive::open_broken(
      std::make_shared<MemorySource>("a.tar", std::vector<std::byte>(bytes.begin(), bytes.end())), Limits{},
      why);
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code(), Code::truncated);
  EXPECT_EQ(data_of(archive, "a"), "1");
  EXPECT_EQ(data_of(archive, "b"), std::string(424, 'b'));
}

}  // namespace
}  // namespace ferry::tar
