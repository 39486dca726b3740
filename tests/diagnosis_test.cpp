// Files that are no checkpoints: each is named, with a hint where there is something to do.
#include "formats/diagnosis.h"

#include <gtest/gtest.h>

#include "formats/formats.h"
#include "src/core/error.h"
#include "src/core/limits.h"

namespace ferry {
namespace {

using namespace std::string_literals;

SourcePtr source_of(std::string text) {
  const Bytes bytes = as_bytes(text);
  return std::make_shared<MemorySource>("file", std::vector<std::byte>(bytes.begin(), bytes.end()));
}

struct Row {
  std::string name, bytes, what, hint;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class DiagnosisOf : public testing::TestWithParam<Row> {};

// TFL3 and its like stand behind the offset of the root table.
const Row kRows[] = {
    {"empty", "", "the file is empty", "fetch"},
    {"git_lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 102400\n",
     "a git-lfs pointer, not the file itself; the file itself has 102,400 bytes", "git lfs pull"},
    {"git_annex", "/annex/objects/SHA256E-s3--00.pth\n", "a git-annex pointer", "git annex get"},
    {"dvc", "outs:\n- md5: 00\n  size: 3\n  path: a.pt\n", "a DVC pointer", "dvc pull"},
    {"html", "\n <!doctype HTML>\n<html><head><title>\nSign in</title>",
     "a web page with the title 'Sign in'", "log in"},
    {"html_without_type", "<HTML><body>", "a web page", "raw file"},
    {"xml", "<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "XML", "error"},
    {"json", "{\"message\": \"Not Found\"}", "JSON: it begins with '{\"message\": \"Not Found\"}'", ""},
    {"json_list", "[1, 2]\n", "JSON", ""},
    {"text", "Entry not found", "text: it begins with 'Entry not found'", ""},
    {"text_like_a_pickle", "Not Found\n", "text: it begins with 'Not Found'", ""},
    {"gzip", "\x1f\x8b\x08"s, "gzip", "gunzip it first"},
    {"bzip2", "BZh91AY", "bzip2", "bunzip2 it first"},
    {"xz",
     "\xfd"
     "7zXZ\0\0"s,
     "xz", "unxz it first"},
    {"zstd", "\x28\xb5\x2f\xfd\x04"s, "zstd", "zstd -d it first"},
    {"lz4", "\x04\x22\x4d\x18\x60"s, "lz4", "lz4 -d"},
    {"seven_zip", "7z\xbc\xaf\x27\x1c\0\4"s, "a 7z archive", "7z x"},
    {"rar", "Rar!\x1a\x07\x01", "a RAR archive", "unrar x"},
    {"gguf", "GGUF\3\0\0\0"s, "a GGUF model", ""},
    {"ggml", "lmgg\0\0"s, "a ggml model", ""},
    {"ggjt", "tjgg\3\0\0\0"s, "a ggml model (ggjt", ""},
    {"tflite", "\x1c\0\0\0TFL3\0\0"s, "a TensorFlow Lite model", ""},
    {"ort", "\x08\0\0\0ORTM\0\0"s, "an ONNX Runtime model", ""},
    {"mobile", "\x10\0\0\0PTMF\0\0"s, "PyTorch Mobile", ""},
    {"elf",
     "\x7f"
     "ELF\2\1\1"s,
     "an ELF program or library", ""},
    {"caffe2", "PYTORCH1", "a PyTorch container of before 1.0", ""},
    {"torch7", "\4\0\0\0\1\0\0\0\3\0\0\0V 1\x12\0\0\0torch.FloatTensor"s, "a Torch7 file", "load_lua"},
    {"onnx",
     "\x08\x04\x12\x07pytorch\x1a\x03"
     "1.4:\x80\x01"s,
     "an ONNX model made by 'pytorch'", "checkpoint"},
    {"onnx_without_producer", "\x08\x07\x3a\x20\x0a\x01x"s, "an ONNX model", ""},
    {"saved_model", "\x08\x01\x12\xff\x01\x0a\x05\x12\x00"s, "a TensorFlow SavedModel", "variables/"},
    {"tensorflow_list", "model_checkpoint_path: \"model-1\"\n", "TensorFlow checkpoints", ""},
    {"tensorflow_index", std::string(60, '\1') + "\x57\xfb\x80\x8b\x24\x75\x47\xdb",
     "the index of a TensorFlow checkpoint", ".data files"},
    {"zeros", std::string(5000, '\0'), "all of its 5,000 bytes are zeros", "fetch"},
    {"begins_with_zeros", std::string(700, '\0') + "abc", "begins with 700 zeros", "fetch"},
};

INSTANTIATE_TEST_SUITE_P(Files, DiagnosisOf, testing::ValuesIn(kRows),
                         [](const auto& row) { return row.param.name; });

TEST_P(DiagnosisOf, SaysWhatItIsAndWhatToDo) {
  const Row& row = GetParam();
  try {
    open_checkpoint(source_of(row.bytes), Limits{});
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_NE(error.summary().find(row.what), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find(row.hint), std::string::npos) << error.what();
    EXPECT_NE(error.fault(), Fault::refused);
  }
}

TEST(Diagnosis, PicklesOfProtocol0AreNoText) {
  for (const char* text : {"(dp0\nS'a'\np1\nI1\ns.", "I1\n.", "Vtext\n.", "N.", "(lp0\nF1.5\na."})
    EXPECT_FALSE(diagnose(*source_of(text))) << text;
}

TEST(Diagnosis, BytesOfNoKnownKindStayUnknown) {
  EXPECT_FALSE(diagnose(*source_of("\x01\x02\xff\x80garbage"s)));
  EXPECT_FALSE(diagnose(*source_of("\x08\x04\x0a\x01x"s)));  // a message, but of no known kind
  EXPECT_FALSE(diagnose(*source_of("\x80\x02}q\x00."s)));    // a pickle
}

}  // namespace
}  // namespace ferry
