#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "formats/pickle/decoder.h"
#include "formats/pickle/disassemble.h"
#include "formats/pickle/emitter.h"
#include "formats/pickle/scan.h"
#include "src/core/error.h"

namespace ferry {
namespace {

using namespace std::string_literals;
using pickle::Decoded;

Decoded run(const std::string& program) {
  const Bytes bytes = as_bytes(program);
  GlobalLog globals;
  return pickle::decode(std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end()), 0,
                        globals);
}

// The code that a program fails with; 0 when it runs.
int failure(const std::string& program) {
  try {
    run(program);
    return 0;
  } catch (const Error& error) {
    return static_cast<int>(error.code());
  }
}

constexpr int kBadPickle = static_cast<int>(Code::bad_pickle), kTruncated = static_cast<int>(Code::truncated);

TEST(Pickle, TableHasEveryInstructionOnce) {
  std::size_t rows = 0;
  for (const pickle::Opcode* row : pickle::kByByte) rows += row != nullptr ? 1u : 0u;
  EXPECT_EQ(rows, 68u);
}

TEST(Pickle, IntegersOfEveryForm) {
  const auto value = [](const std::string& program) {
    const Decoded decoded = run(program + ".");
    return decoded.graph.integer_text(decoded.graph.root());
  };
  EXPECT_EQ(value("K\xff"), "255");
  EXPECT_EQ(value("M\xff\xff"), "65535");
  EXPECT_EQ(value("J\xff\xff\xff\xff"), "-1");
  EXPECT_EQ(value("I-12345678901234567890123\n"), "-12345678901234567890123");
  EXPECT_EQ(value("L9223372036854775808L\n"), "9223372036854775808");
  EXPECT_EQ(value("\x8a\x00"s), "0");
  EXPECT_EQ(value("\x8a\x02\x00\x80"s), "-32768");
  EXPECT_EQ(value("\x8b\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"s), "18446744073709551616");
}

TEST(Pickle, IntOfPython2IsBooleanWhenWrittenWithTwoDigits) {
  EXPECT_EQ(run("I01\n.").graph.kind(2), Kind::boolean);
  const Decoded yes = run("I01\n."), one = run("I1\n.");
  EXPECT_EQ(yes.graph.kind(yes.graph.root()), Kind::boolean);
  EXPECT_EQ(one.graph.kind(one.graph.root()), Kind::integer);
}

TEST(Pickle, FloatsOfEveryForm) {
  const auto value = [](const std::string& program) {
    const Decoded decoded = run(program);
    return decoded.graph.real(decoded.graph.root());
  };
  EXPECT_EQ(value("F1.5\n."), 1.5);
  EXPECT_EQ(value("F-inf\n."), -INFINITY);
  EXPECT_TRUE(std::isnan(value("Fnan\n.")));
  EXPECT_EQ(value("F1e400\n."), INFINITY);
  EXPECT_EQ(value("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s), 1.5);
}

TEST(Pickle, TextOfEveryForm) {
  const auto value = [](const std::string& program) {
    const Decoded decoded = run(program);
    return std::string(decoded.graph.text(decoded.graph.root()));
  };
  EXPECT_EQ(value("X\x02\x00\x00\x00h\x69."s), "hi");
  EXPECT_EQ(value("\x8c\x02hi."s), "hi");
  EXPECT_EQ(value("Vcaf\\u00e9\n."), "caf\xc3\xa9");
  EXPECT_EQ(value("S'a\\x41\\n\\''\n."), "aA\n'");
  EXPECT_EQ(value("U\x01\xff."s), "\xff");
}

TEST(Pickle, SharedValuesStaySharedAndCyclesAreLegal) {
  const Decoded shared = run("]q\x00h\x00h\x00\x86."s);
  const auto items = shared.graph.items(shared.graph.root());
  EXPECT_EQ(items[0], items[1]);
  const Decoded cycle =
      run("]q\x00h\x00"
          "a."s);
  EXPECT_EQ(cycle.graph.items(cycle.graph.root())[0], cycle.graph.root());
}

TEST(Pickle, LaterValueOfARepeatedKeyWinsInTheFirstPlace) {
  const Decoded decoded =
      run("}(K\x01K\x0a"
          "K\x02K\x14\x88K\x1eu."s);  // {1: 10, 2: 20, True: 30}
  ASSERT_EQ(decoded.graph.entry_count(decoded.graph.root()), 2u);
  EXPECT_EQ(decoded.graph.integer(decoded.graph.entry(decoded.graph.root(), 0).value), 30);
}

TEST(Pickle, NothingIsCalled) {
  const Decoded decoded = run("cos\nsystem\n(U\x02lstR."s);
  ASSERT_EQ(decoded.graph.kind(decoded.graph.root()), Kind::call);
  EXPECT_EQ(decoded.graph.dotted_name(decoded.graph.callee(decoded.graph.root())), "os.system");
}

TEST(Pickle, NamesAreKnownWhenTheProgramBreaksLater) {
  GlobalLog globals;
  const Bytes bytes = as_bytes("cos\nsystem\n(U\x02lstR\xff");
  EXPECT_THROW(
      pickle::decode(std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end()), 0, globals),
      Error);
  ASSERT_EQ(globals.uses().size(), 1u);
  EXPECT_EQ(globals.uses()[0].dotted(), "os.system");
  EXPECT_TRUE(globals.uses()[0].called);
}

TEST(Pickle, RefusesMarkForgedByOtherValues) {
  EXPECT_EQ(failure("(."), kBadPickle);
  EXPECT_EQ(failure("K\x01(s."s), kBadPickle);
  EXPECT_EQ(failure("t."), kBadPickle);
}

TEST(Pickle, RefusesWrongTargets) {
  EXPECT_EQ(failure(")K\x01"
                    "a."s),
            kBadPickle);                             // APPEND on a tuple
  EXPECT_EQ(failure("]K\x01K\x02s."s), kBadPickle);  // SETITEM on a list
  EXPECT_EQ(failure("K\x01)R."s), kBadPickle);       // REDUCE of an int
  EXPECT_EQ(failure("}}b."), kBadPickle);            // BUILD on a dict
  EXPECT_EQ(failure("}]K\x01s."s), kBadPickle);      // a list as key
  EXPECT_EQ(failure("\x80\x06N."s), kBadPickle);     // protocol 6
  EXPECT_EQ(failure("\x82\x01."s), kBadPickle);      // an extension code
  EXPECT_EQ(failure("h\x05."s), kBadPickle);         // an unset memo
  EXPECT_EQ(failure("\x97."s), kBadPickle);          // a buffer that is not there
}

TEST(Pickle, LengthsAreComparedWithTheBytesLeftBeforeAnythingIsAllocated) {
  EXPECT_EQ(failure("X\xff\xff\xff\xff."s), kTruncated);
  EXPECT_EQ(failure("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."s), kTruncated);
  EXPECT_EQ(failure("\x8b\xff\xff\xff\xff."s), kBadPickle);
  EXPECT_EQ(failure("N"), kTruncated);
}

TEST(Pickle, EveryPrefixOfAProgramIsRejected) {
  const std::string program =
      "\x80\x02}q\x00(X\x01\x00\x00\x00"
      "aK\x01X\x01\x00\x00\x00"
      "b]q\x01(K\x02G\x3f\xf0\x00\x00\x00\x00\x00\x00"
      "eu."s;
  ASSERT_EQ(failure(program), 0);
  for (std::size_t size = 0; size < program.size(); ++size)
    EXPECT_NE(failure(program.substr(0, size)), 0) << size;
}

TEST(Pickle, MillionNestedListsNeitherRecurseNorCrash) {
  const std::string program = std::string(1'000'000, ']') + std::string(999'999, 'a') + ".";
  const Decoded decoded = run(program);
  EXPECT_THROW(check_depth(decoded.graph, 1000), Error);
}

TEST(Pickle, MillionNestedTuplesAsAKeyAreNumberedWithoutRecursion) {
  EXPECT_EQ(failure("})" + std::string(1'000'000, '\x85') + "Ns."), 0);
}

TEST(Pickle, ProgramSizeIsFoundWhereNoLengthIsWritten) {
  const std::string text = "\x80\x02X\x05\x00\x00\x00...\x2e\x2e.rest"s;
  const Bytes bytes = as_bytes(text);
  const MemorySource source("m", {bytes.begin(), bytes.end()});
  EXPECT_EQ(pickle::find_program_size(source, 0, 1 << 20), text.size() - 4);
  EXPECT_EQ(pickle::find_program_size(source, 0, 8), std::nullopt);
}

TEST(Pickle, WhatTheEmitterWritesReadsBack) {
  pickle::Emitter out;
  out.proto();
  out.op(pickle::Op::mark);
  const std::vector<std::int64_t> numbers = {0,
                                             255,
                                             256,
                                             65535,
                                             65536,
                                             -1,
                                             -128,
                                             -129,
                                             INT32_MIN,
                                             INT32_MAX,
                                             INT64_MIN,
                                             INT64_MAX,
                                             std::int64_t{1} << 40};
  for (const std::int64_t number : numbers) out.integer(number);
  out.op(pickle::Op::tuple);
  out.op(pickle::Op::stop);
  const auto program = std::make_shared<const std::vector<std::byte>>(out.take());
  GlobalLog globals;
  const Decoded decoded = pickle::decode(program, 0, globals);
  const auto items = decoded.graph.items(decoded.graph.root());
  ASSERT_EQ(items.size(), numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) EXPECT_EQ(decoded.graph.integer(items[i]), numbers[i]);
}

TEST(Pickle, DisassemblyHasOneLineAnInstruction) {
  std::vector<std::string> lines;
  pickle::disassemble(as_bytes("\x80\x02"
                               "ccollections\nOrderedDict\n)R."s),
                      [&](std::string_view line) { lines.emplace_back(line); });
  const std::vector<std::string> expected = {"       0: PROTO           2",
                                             "       2: GLOBAL          'collections OrderedDict'",
                                             "      27: EMPTY_TUPLE", "      28: REDUCE", "      29: STOP"};
  EXPECT_EQ(lines, expected);
}

}  // namespace
}  // namespace ferry
