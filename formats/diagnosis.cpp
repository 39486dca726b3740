#include "formats/diagnosis.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "formats/pickle/scan.h"
#include "src/core/text.h"

namespace ferry {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kHead = 4096;

// --- by their first bytes

struct Signature {
  std::size_t offset;
  std::string_view magic;
  std::string_view what;
  std::string_view hint;
  Code code = Code::not_a_checkpoint;
};

constexpr std::string_view kConvertThere = "it has to be converted where its own program is at hand";

// Sources: the specifications of the formats; for ggml, github.com/ggerganov/ggml (llama.cpp:
// llama_file_magic); for flatbuffers, file_identifier of the schemas of TensorFlow Lite, ONNX Runtime,
// PyTorch Mobile, ExecuTorch.
// clang-format off
constexpr auto kSignatures = std::to_array<Signature>({
    {0, "\x1f\x8b"sv, "this is gzip-compressed data", "gunzip it first"},
    {0, "BZh"sv, "this is bzip2-compressed data", "bunzip2 it first"},
    {0, "\xfd" "7zXZ"sv, "this is xz-compressed data", "unxz it first"},
    {0, "\x28\xb5\x2f\xfd"sv, "this is zstd-compressed data", "zstd -d it first"},
    {0, "\x04\x22\x4d\x18"sv, "this is lz4-compressed data", "lz4 -d it first"},
    {0, "\x1f\x9d"sv, "this is data compressed by compress (.Z)", "uncompress it first"},
    {0, "7z\xbc\xaf\x27\x1c"sv, "this is a 7z archive", "7z x unpacks it; the checkpoints may be inside"},
    {0, "Rar!"sv, "this is a RAR archive", "unrar x unpacks it; the checkpoints may be inside"},
    {0, "GGUF"sv, "this is a GGUF model (llama.cpp), whose weights may be quantized in its own way", kConvertThere},
    {0, "tjgg"sv, "this is a ggml model (ggjt, llama.cpp of 2023)", kConvertThere},
    {0, "lmgg"sv, "this is a ggml model (the first form of llama.cpp and whisper.cpp)", kConvertThere},
    {0, "fmgg"sv, "this is a ggml model (ggmf, llama.cpp of 2023)", kConvertThere},
    {0, "algg"sv, "this is a ggml adapter (ggla, llama.cpp of 2023)", kConvertThere},
    {4, "TFL3"sv, "this is a TensorFlow Lite model", kConvertThere},
    {4, "ORTM"sv, "this is an ONNX Runtime model (.ort)", kConvertThere},
    {4, "PTMF"sv, "this is a model for PyTorch Mobile in its flatbuffer form", "convert the .pt or .ptl file that it was made from"},
    {4, "ET12"sv, "this is an ExecuTorch program", "convert the checkpoint that it was made from"},
    {0, "\x7f" "ELF"sv, "this is an ELF program or library", ""},
    {0, "MZ"sv, "this is a Windows program or library", ""},
    {0, "\xcf\xfa\xed\xfe"sv, "this is a macOS program or library", ""},
    {0, "PYTORCH1"sv, "this is a PyTorch container of before 1.0, which nothing reads any more", "", Code::unsupported_container},
    {0, "\x04\x00\x00\x00\x01\x00\x00\x00\x03\x00\x00\x00V 1"sv, "this is a Torch7 file (Lua), which PyTorch before 1.0 loaded with load_lua",
     "convert it there with torch.utils.serialization.load_lua and torch.save", Code::unsupported_container},
    {0, "MATLAB 5.0 MAT-file"sv, "this is a MATLAB file", "scipy.io.loadmat reads it"},
    {0, "ARROW1"sv, "this is an Arrow file", ""},
    {0, "PAR1"sv, "this is a Parquet file", ""},
    {0, "SQLite format 3"sv, "this is an SQLite database", ""},
    {0, "%PDF"sv, "this is a PDF document", ""},
    {0, "\x89PNG"sv, "this is a PNG picture", ""},
    {0, "\xff\xd8\xff"sv, "this is a JPEG picture", ""},
});
// clang-format on

std::optional<Diagnosis> by_signature(std::string_view head) {
  for (const Signature& row : kSignatures)
    if (head.size() >= row.offset && head.substr(row.offset).starts_with(row.magic))
      return Diagnosis{row.code, std::string(row.what), std::string(row.hint)};
  return std::nullopt;
}

// --- pointers of tools that keep large files elsewhere

// "size 102400" in a git-lfs pointer: the real size of the file.
std::string lfs_size(std::string_view head) {
  const std::size_t at = head.find("\nsize ");
  if (at == std::string_view::npos) return "";
  std::uint64_t size = 0;
  for (std::size_t i = at + 6;
       i < head.size() && std::isdigit(static_cast<unsigned char>(head[i])) != 0 && size < (1ull << 60); ++i)
    size = size * 10 + static_cast<std::uint64_t>(head[i] - '0');
  return "; the file itself has " + grouped(size) + " bytes";
}

std::optional<Diagnosis> by_pointer(std::string_view head) {
  if (head.starts_with("version https://git-lfs") || head.starts_with("version https://hawser"))
    return Diagnosis{Code::not_a_checkpoint,
                     "this is a git-lfs pointer, not the file itself" + lfs_size(head),
                     "run git lfs pull in the repository"};
  if (head.substr(0, 200).find("/annex/objects/") != std::string_view::npos)
    return Diagnosis{Code::not_a_checkpoint, "this is a git-annex pointer, not the file itself",
                     "run git annex get in the repository"};
  if (head.starts_with("outs:\n- md5:"))
    return Diagnosis{Code::not_a_checkpoint, "this is a DVC pointer, not the file itself",
                     "run dvc pull in the repository"};
  return std::nullopt;
}

// --- text

std::string_view trimmed(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string title_of(std::string_view page) {
  const std::string folded = lower(page);
  const std::size_t tag = folded.find("<title");
  const std::size_t begin = tag == std::string::npos ? tag : folded.find('>', tag);
  const std::size_t end = begin == std::string::npos ? begin : folded.find("</title", begin);
  if (end == std::string::npos) return "";
  const std::string_view title = trimmed(page.substr(begin + 1, end - begin - 1));
  return title.empty() ? "" : " with the title " + quote(title, 80);
}

std::optional<Diagnosis> by_markup(std::string_view text) {
  const std::string start = lower(text.substr(0, 14));
  if (start.starts_with("<!doctype html") || start.starts_with("<html"))
    return Diagnosis{Code::not_a_checkpoint, "this is a web page" + title_of(text),
                     "the download was answered with a page: log in, or use the link to the raw file"};
  if (start.starts_with("<?xml") || start.starts_with("<!doctype"))
    return Diagnosis{Code::not_a_checkpoint, "this is XML",
                     "the download may have been answered with an error"};
  return std::nullopt;
}

// Text is what has no other bytes than text has, in UTF-8 but for a character that the window may have cut.
bool is_plain_text(std::string_view head) {
  const auto control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  };
  if (std::any_of(head.begin(), head.end(), control)) return false;
  for (std::size_t cut = 0; cut < 4 && cut < head.size(); ++cut)
    if (is_utf8(head.substr(0, head.size() - cut), false)) return true;
  return false;
}

// Pickles of protocol 0 are text too.
bool is_text_pickle(const ByteSource& source, std::string_view head) {
  static constexpr std::string_view kFirst = "(cIL]}VSFNdlg0pP";
  constexpr std::uint64_t kLooked = 1 << 20;
  return kFirst.find(head[0]) != std::string_view::npos &&
         pickle::find_program_size(source, 0, kLooked).value_or(source.size() > kLooked ? 1 : 0) > 0;
}

std::optional<Diagnosis> by_text(const ByteSource& source, std::string_view head) {
  const std::string_view text = trimmed(head);
  if (auto found = by_markup(text)) return found;
  if (text.empty() || !is_plain_text(head) || is_text_pickle(source, head)) return std::nullopt;
  if (text.starts_with("model_checkpoint_path:"))
    return Diagnosis{Code::not_a_checkpoint, "this is the list of TensorFlow checkpoints in its folder",
                     "it names the files; " + std::string(kConvertThere)};
  const std::string first(text.substr(0, text.find('\n')));
  const bool json = text.front() == '{' || text.front() == '[';
  return Diagnosis{
      Code::not_a_checkpoint,
      (json ? "this is JSON: it begins with " : "this is text: it begins with ") + quote(first, 80), ""};
}

// --- protobuf messages, which have no signature

// The fields of a message, as far as they lie in a window.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  // The next field: its number, its varint or the text of its length-delimited value; false at the end or at
  // something else.
  bool next() {
    std::uint64_t key = 0;
    if (!varint(key)) return false;
    number = key >> 3;
    text = {};
    if ((key & 7) == 0) return varint(value);
    if ((key & 7) != 2 || !varint(value)) return false;
    text = bytes_.substr(0, value);  // may be longer than the window
    whole = value <= bytes_.size();
    bytes_.remove_prefix(text.size());
    return true;
  }

  std::uint64_t number = 0, value = 0;
  std::string_view text;
  bool whole = true;

 private:
  bool varint(std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 63 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      out |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view bytes_;
};

bool is_word(std::string_view text) {
  return !text.empty() && text.size() < 100 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// ModelProto of onnx.proto: ir_version = 1, producer_name = 2, producer_version = 3, domain = 4,
// model_version = 5, doc_string = 6, graph = 7, opset_import = 8.  SavedModel of saved_model.proto: schema
// version = 1, and MetaGraphDef = 2, whose first field is a message or a text of its own.
std::optional<Diagnosis> by_protobuf(std::string_view head) {
  constexpr std::uint64_t kIrVersionMost = 30;
  Fields field(head);
  if (!head.starts_with('\x08') || !field.next() || field.value == 0 || field.value > kIrVersionMost)
    return std::nullopt;
  const std::uint64_t version = field.value;
  if (!field.next()) return std::nullopt;
  const bool names_producer = field.number == 2 && field.whole && is_word(field.text);
  const bool is_onnx = names_producer || (field.number == 7 && field.value > 0) ||
                       (field.number == 8 && field.whole && !field.text.empty());
  if (is_onnx)
    return Diagnosis{
        Code::not_a_checkpoint,
        "this is an ONNX model" + (names_producer ? " made by " + quote(field.text, 40) : std::string()),
        "onnx.numpy_helper reads its weights; better convert the checkpoint that it was made from"};
  if (version == 1 && field.number == 2 && field.value > 0 && field.text.starts_with('\x0a'))
    return Diagnosis{Code::not_a_checkpoint, "this is the graph of a TensorFlow SavedModel",
                     "its weights lie in variables/ beside it; " + std::string(kConvertThere)};
  return std::nullopt;
}

// --- by their ends

// The index of a TensorFlow checkpoint is a table of LevelDB: its last eight bytes are kTableMagicNumber.
std::optional<Diagnosis> by_footer(const ByteSource& source) {
  constexpr auto kTable = "\x57\xfb\x80\x8b\x24\x75\x47\xdb"sv;
  if (source.size() < 48) return std::nullopt;
  const auto footer = source.read({source.size() - kTable.size(), kTable.size()});
  if (as_text(Bytes(footer)) != kTable) return std::nullopt;
  return Diagnosis{Code::not_a_checkpoint, "this is the index of a TensorFlow checkpoint",
                   "its weights lie in the .data files beside it; " + std::string(kConvertThere)};
}

// --- nothing

std::optional<Diagnosis> by_zeros(const ByteSource& source, std::string_view head) {
  constexpr std::uint64_t kLeast = 16;
  const auto is_zero = [](char c) { return c == '\0'; };
  const auto zeros_in = [&](std::string_view text) {
    return static_cast<std::uint64_t>(std::find_if_not(text.begin(), text.end(), is_zero) - text.begin());
  };
  if (zeros_in(head) < std::min<std::uint64_t>(head.size(), kLeast)) return std::nullopt;
  std::uint64_t zeros = 0;
  while (zeros < source.size()) {
    const auto block = source.read({zeros, std::min<std::uint64_t>(kReadBlock, source.size() - zeros)});
    const std::uint64_t found = zeros_in(as_text(Bytes(block)));
    zeros += found;
    if (found < block.size()) break;
  }
  const bool all = zeros == source.size();
  return Diagnosis{Code::not_a_checkpoint,
                   all ? "all of its " + grouped(zeros) + " bytes are zeros: an interrupted download or copy"
                       : "the file begins with " + grouped(zeros) +
                             " zeros: an interrupted download or copy, or a file without a header",
                   "fetch the file again"};
}

}  // namespace

std::optional<Diagnosis> diagnose(const ByteSource& source) {
  if (source.size() == 0) return Diagnosis{Code::truncated, "the file is empty", "fetch the file again"};
  const auto bytes = source.read({0, std::min<std::uint64_t>(kHead, source.size())});
  const std::string_view head = as_text(Bytes(bytes));
  if (auto found = by_pointer(head)) return found;
  if (auto found = by_signature(head)) return found;
  if (auto found = by_zeros(source, head)) return found;
  if (auto found = by_protobuf(head)) return found;
  if (auto found = by_footer(source)) return found;
  return by_text(source, head);
}

}  // namespace ferry
