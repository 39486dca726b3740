// TorchScript archives put together by hand: what is left out, what is refused.  Real ones:
// tests/oracle/torchscript.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "formats/formats.h"
#include "formats/torch/fingerprint.h"
#include "formats/torchscript/objects.h"
#include "formats/zip/crc32.h"
#include "formats/zip/encode.h"
#include "src/core/error.h"
#include "tests/support/content.h"

namespace ferry::torchscript {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct File {
  std::string name, content;
};

std::vector<std::byte> archive_of(const std::vector<File>& files) {
  std::vector<std::byte> out;
  std::vector<zip::Entry> entries;
  const auto append = [&](Bytes bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  for (const File& file : files) {
    const zip::Entry entry{file.name, file.content.size(), zip::crc32(0, as_bytes(file.content)), out.size()};
    entries.push_back(entry);
    append(zip::local_header(entry));
    append(as_bytes(file.content));
    append(zip::data_descriptor(entry));
  }
  append(zip::directory(entries, out.size()));
  return out;
}

// --- pickles, in the instructions that TorchScript uses

std::string text(std::string_view value) {
  std::string size(4, '\0');
  size[0] = static_cast<char>(value.size());
  return "X" + size + std::string(value);
}
std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
std::string number(int value) { return std::string("K") + static_cast<char>(value); }
// A float32 tensor of two elements in record data/0.
std::string tensor(std::string_view key = "0") {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") +
         global("torch", "FloatStorage") + text(key) + text("cpu") + number(2) + "tQ" + number(0) +
         number(2) + "\x85" + number(1) + "\x85" + "\x89" + global("collections", "OrderedDict") + ")RtR";
}
std::string object(std::string_view class_name, const std::string& entries) {
  return global("__torch__", class_name) + ")\x81}(" + entries + "ub";
}
std::string entry(std::string_view key, const std::string& value) { return text(key) + value; }
std::string program(const std::string& value) { return "\x80\x02" + value + "."; }

const std::string kTwoFloats(8, '\0');
const std::string kNoConstants = program(")");

std::vector<File> script(const std::string& data, std::vector<File> more = {}) {
  std::vector<File> files = {{"m/data.pkl", program(data)},
                             {"m/data/0", kTwoFloats},
                             {"m/constants.pkl", kNoConstants},
                             {"m/version", "3\n"}};
  files.insert(files.end(), more.begin(), more.end());
  return files;
}

Checkpoint open(const std::vector<File>& files) { return test::open_bytes(archive_of(files)); }

std::vector<std::string> keys_of(const Checkpoint& checkpoint) {
  std::vector<std::string> keys;
  const ValueGraph& values = checkpoint.values;
  for (std::size_t i = 0; i < values.entry_count(values.root()); ++i)
    keys.emplace_back(values.text(values.entry(values.root(), i).key));
  return keys;
}

std::vector<std::string> notes_of(const Checkpoint& checkpoint) {
  std::vector<std::string> texts;
  for (const Note& note : checkpoint.notes) texts.push_back(note.what);
  return texts;
}

Code code_of(const std::vector<File>& files) {
  try {
    open(files);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal;
}

// --- modules

TEST(TorchScript, OwnTensorsComeBeforeThoseOfChildren) {
  const std::string child = object("Child", entry("w", tensor()) + entry("training", "\x88"));
  const Checkpoint checkpoint =
      open(script(object("M", entry("child", child) + entry("w", tensor()) + entry("training", "\x88"))));
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("w", "child.w"));
  EXPECT_EQ(checkpoint.container.format, "TorchScript archive");
}

TEST(TorchScript, AttributesThatAreNoTensorsAreDescribed) {
  const Checkpoint checkpoint = open(script(object("M", entry("w", tensor()) + entry("rate", number(7)))));
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("w"));
  EXPECT_THAT(notes_of(checkpoint), Contains("M(rate=7): the root"));
}

TEST(TorchScript, AModuleThatHoldsItselfEndsThere) {
  // PUT 9 keeps the instance before its state is built.
  const std::string cyclic =
      global("__torch__", "M") + ")\x81q\x09}(" + entry("w", tensor()) + entry("me", "h\x09") + "ub";
  const Checkpoint checkpoint = open(script(cyclic));
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("w"));
  EXPECT_THAT(notes_of(checkpoint), Contains(HasSubstr("me is a module that it lies in")));
}

TEST(TorchScript, SharedModulesBelowSharedModulesHaveALimit) {
  std::string module = object("M", entry("w", tensor()));
  for (int i = 0; i < 40; ++i)
    module = object("M", entry("a", module + "q" + static_cast<char>(i)) +
                             entry("b", std::string("h") + static_cast<char>(i)));
  EXPECT_EQ(code_of(script(module)), Code::limit_exceeded);
}

TEST(TorchScript, TwoTensorsOfOnePathAreRefused) {
  const std::string dict =
      "}(" + entry("b.c", tensor()) + entry("b", "}(" + entry("c", tensor()) + "u") + "u";
  EXPECT_EQ(code_of(script(object("M", entry("a", dict)))), Code::key_collision);
}

TEST(TorchScript, AValueThatIsNoModuleStaysAsItIs) {
  const Checkpoint checkpoint = open(script("}(" + entry("w", tensor()) + "u"));
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("w"));
  EXPECT_EQ(checkpoint.values.flavor(checkpoint.values.root()), DictFlavor::plain);
}

TEST(TorchScript, MangledNamesAreReadAsInPython) {
  EXPECT_EQ(class_name("__torch__.torch.nn.modules.linear.___torch_mangle_12.Linear"),
            "torch.nn.modules.linear.Linear");
  EXPECT_EQ(class_name("__torch__.Net"), "Net");
}

TEST(TorchScript, AnEnumIsItsValue) {
  const Checkpoint checkpoint = open(script(
      object("M", entry("w", tensor()) + entry("color", global("__torch__", "Color") + number(2) + "R"))));
  EXPECT_THAT(notes_of(checkpoint), Contains("M(color=2): the root"));
}

TEST(TorchScript, FrozenWeightsAreOfferedAsConstants) {
  std::vector<File> files = script(object("M", ""));
  files[2].content = program("(" + tensor() + "t");
  files.push_back({"m/constants/0", kTwoFloats});
  const Checkpoint checkpoint = open(files);
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("constants.0"));
  EXPECT_THAT(notes_of(checkpoint), Contains(HasSubstr("frozen")));
}

TEST(TorchScript, ConstantsOfOtherModulesAreLeftOut) {
  std::vector<File> files = script(object("M", entry("w", tensor()) + entry("training", "\x88")));
  files[2].content = program("(" + tensor() + "t");
  EXPECT_THAT(keys_of(open(files)), ElementsAre("w"));
}

TEST(TorchScript, ExtraFilesAndOtherPicklesAreNamed) {
  const Checkpoint checkpoint =
      open(script(object("M", entry("w", tensor())),
                  {{"m/extra/config.json", "{}"}, {"m/traced_inputs.pkl", program(")")}}));
  EXPECT_THAT(notes_of(checkpoint), Contains(HasSubstr("extra file 'config.json'")));
  EXPECT_THAT(notes_of(checkpoint), Contains("traced_inputs.pkl was left out"));
}

// --- what is refused

TEST(TorchScript, EveryPickleIsJudged) {
  const std::string unsafe = program(global("os", "system") + "(" + text("true") + "tR");
  for (const char* name : {"m/constants.pkl", "m/traced_inputs.pkl", "m/bytecode.pkl",
                           "m/code/__torch__.py.debug_pkl", "m/extra/x.pkl", "other.pkl"}) {
    std::vector<File> files = script(object("M", entry("w", tensor())));
    std::erase_if(files, [&](const File& file) { return file.name == name; });
    files.push_back({name, unsafe});
    EXPECT_EQ(code_of(files), Code::unsafe_global) << name;
  }
}

TEST(TorchScript, RefusalOutranksWhatIsBroken) {
  std::vector<File> files = script("broken");
  files.push_back({"m/traced_inputs.pkl", program(global("os", "system") + ")R")});
  EXPECT_EQ(code_of(files), Code::unsafe_global);
}

TEST(TorchScript, BrokenDebugInformationDoesNoHarm) {
  EXPECT_THAT(keys_of(open(script(object("M", entry("w", tensor())), {{"m/code/a.py.debug_pkl", "broken"}}))),
              ElementsAre("w"));
  EXPECT_NE(code_of(script(object("M", entry("w", tensor())), {{"m/traced_inputs.pkl", "broken"}})),
            Code::internal);
}

TEST(TorchScript, AStorageNeedsItsRecord) {
  EXPECT_EQ(code_of(script(object("M", entry("w", tensor("7"))))), Code::missing_record);
}

// --- model.json

std::vector<File> old_script(const std::string& parameters, const std::string& tensors,
                             const std::string& attributes = "") {
  return {{"m/version", "1\n"},
          {"m/tensors/0", kTwoFloats},
          {"m/attributes.pkl", program(attributes.empty() ? ")" : attributes)},
          {"m/model.json", "{\"protoVersion\":\"3\",\"mainModule\":{\"name\":\"m\"" + parameters +
                               "},\"tensors\":[" + tensors + "]}"}};
}

std::string table_row(const std::string& dims = "\"2\"", const std::string& strides = "\"1\"",
                      const std::string& offset = "0", const std::string& type = "FLOAT") {
  return "{\"dims\":[" + dims + "],\"offset\":\"" + offset + "\",\"strides\":[" + strides +
         "],\"requiresGrad\":true,\"dataType\":\"" + type +
         "\",\"data\":{\"key\":\"tensors/0\"},\"device\":\"cpu\"}";
}

const std::string kOneParameter = ",\"parameters\":[{\"isBuffer\":false,\"tensorId\":\"0\",\"name\":\"w\"}]";

TEST(TorchScriptModelJson, ReadsParametersAttributesAndChildren) {
  const std::string build = global("torch.jit._pickle", "build_tensor_from_id");
  const Checkpoint checkpoint = open(old_script(
      kOneParameter +
          ",\"attributes\":[{\"type\":\"List[Tensor]\",\"name\":\"l\",\"id\":\"0\"}]"
          ",\"submodules\":[{\"name\":\"child\",\"parameters\":[{\"tensorId\":\"0\",\"name\":\"v\"}]}]",
      table_row(), "(" + std::string("](") + build + "(" + number(0) + "tRe" + "t"));
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("w", "l.0", "child.v"));
}

TEST(TorchScriptModelJson, LiesAreRefused) {
  EXPECT_EQ(code_of(old_script(kOneParameter, "")), Code::bad_torchscript);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"3\""))), Code::bad_tensor);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"2\"", "\"1\"", "1"))), Code::bad_tensor);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"2\"", ""))), Code::bad_torchscript);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"-2\""))), Code::bad_torchscript);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"9223372036854775807\",\"4\"", "\"4\",\"1\""))),
            Code::bad_tensor);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"x\""))), Code::bad_torchscript);
  EXPECT_EQ(code_of(old_script(kOneParameter, table_row("\"2\"", "\"1\"", "0", "STRING"))),
            Code::unsupported_tensor);
  EXPECT_EQ(
      code_of(old_script(kOneParameter + ",\"attributes\":[{\"name\":\"a\",\"id\":\"4\"}]", table_row())),
      Code::bad_torchscript);
  EXPECT_EQ(code_of(old_script(
                kOneParameter, table_row(),
                "(" + global("torch.jit._pickle", "build_tensor_from_id") + "(" + number(9) + "tRt")),
            Code::bad_call);
}

TEST(TorchScriptModelJson, ADataPklBesideItWins) {
  const Checkpoint checkpoint = open(script(object("M", entry("w", tensor())), {{"m/model.json", "[[[["}}));
  EXPECT_THAT(keys_of(checkpoint), ElementsAre("w"));
}

// --- who wrote it

TEST(TorchScript, TheOrderOfRecordsNamesTheWriter) {
  const auto written_by = [](const std::string& name) {
    const std::string path = test::fixture("torchscript/" + name).string();
    return torch::releases_text(
        torch::find_fingerprint(open_checkpoint(open_file(path), Limits{}), path).possible);
  };
  EXPECT_EQ(written_by("1.0.1/trace.pt"), "1.0");
  EXPECT_EQ(written_by("1.1.0/trace.pt"), "1.1");
  EXPECT_EQ(written_by("1.2.0/trace.pt"), "1.2");
  EXPECT_EQ(written_by("1.3.1/trace.pt"), "1.3");
  EXPECT_EQ(written_by("1.4.0/trace.pt"), "1.4");
  EXPECT_EQ(written_by("1.5.1/trace.pt"), "1.5");
  EXPECT_EQ(written_by("1.12.1/trace.pt"), "1.12 – 2.0");
}

}  // namespace
}  // namespace ferry::torchscript
