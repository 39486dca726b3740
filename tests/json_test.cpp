// JSON read strictly: what two readers could read in two ways is refused.
#include "formats/json/json.h"

#include <gtest/gtest.h>

#include <optional>

#include "src/core/error.h"

namespace ferry {
namespace {

// The code of the complaint about a document; nothing when there is none.
std::optional<Code> complaint_about(std::string_view text, const json::Rules& rules = {}) {
  try {
    json::parse(text, rules);
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

TEST(Json, KeepsValuesExactlyAndMembersInOrder) {
  const json::Value value = json::parse(
      R"({"z":[1,-9223372036854775808,18446744073709551615,1.5e3],"a":"\u00e9\ud83d\ude00","n":null,"t":true})");
  ASSERT_NE(value.object(), nullptr);
  EXPECT_EQ(value.object()->at(0).first, "z");
  EXPECT_EQ(value.object()->at(3).first, "t");
  const auto& numbers = *value.find("z")->array();
  EXPECT_EQ(numbers.at(0).natural(), 1u);
  EXPECT_EQ(numbers.at(1).integer(), INT64_MIN);
  EXPECT_EQ(numbers.at(1).natural(), std::nullopt);
  EXPECT_EQ(numbers.at(2).natural(), UINT64_MAX);
  EXPECT_EQ(numbers.at(2).integer(), std::nullopt);
  EXPECT_EQ(numbers.at(3).number(), 1500.0);
  EXPECT_EQ(numbers.at(3).integer(), std::nullopt);
  EXPECT_EQ(*value.find("a")->text(), "\u00e9\U0001f600");
  EXPECT_TRUE(value.find("n")->is_null());
  EXPECT_EQ(value.find("t")->boolean(), true);
  EXPECT_EQ(value.find("absent"), nullptr);
  EXPECT_EQ(numbers.at(0).find("z"), nullptr);
}

TEST(Json, RefusesWhatReadersDisagreeAbout) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {R"({"a":1,"a":2})"sv,
                                      R"({"w":1,"\u0077":2})"sv,
                                      R"([{"x":{"a":1,"b":2,"a":3}}])"sv,
                                      "\xef\xbb\xbf{}"sv,
                                      " {}"sv,
                                      "[1,]"sv,
                                      R"({"a":1,})"sv,
                                      "[01]"sv,
                                      "[+1]"sv,
                                      "[1.]"sv,
                                      "[.5]"sv,
                                      "[NaN]"sv,
                                      "[1e999]"sv,
                                      "[\"\x01\"]"sv,
                                      R"(["\ud800"])"sv,
                                      R"(["\udc00"])"sv,
                                      "[\"\xff\"]"sv,
                                      "[\"\xed\xa0\x80\"]"sv,
                                      "{}{}"sv,
                                      "{} x"sv,
                                      "{}\0{}"sv,
                                      "[1]\0"sv,
                                      "['a']"sv,
                                      "[/* */]"sv,
                                      "[true false]"sv})
    EXPECT_EQ(complaint_about(text), Code::bad_json) << text;
  EXPECT_EQ(complaint_about("{} \n"), std::nullopt);
  EXPECT_EQ(complaint_about(" {}", {.space_before = true}), std::nullopt);
}

TEST(Json, EveryPrefixIsTruncated) {
  const std::string_view whole = R"({"a":[1.5,"\u00e9",{"b":null}]})";
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(complaint_about(whole.substr(0, size)), Code::truncated) << size;
}

TEST(Json, SaysWhere) {
  try {
    json::parse(R"({"a":1,"b":2,"a":3})", {.base = 100});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'a' stands twice"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("(116)"), std::string::npos) << error.what();
  }
}

TEST(Json, KeepsToItsLimits) {
  EXPECT_EQ(complaint_about(std::string(1'000'000, '[')), Code::too_deep);
  EXPECT_EQ(complaint_about("[[[]]]", {.depth_max = 2}), Code::too_deep);
  EXPECT_EQ(complaint_about("[[],[],{}]", {.depth_max = 2}), std::nullopt);
  EXPECT_EQ(complaint_about("[1,2,3]", {.size_max = 6}), Code::limit_exceeded);
}

}  // namespace
}  // namespace ferry
