// torchferry-hdf5: reads and makes HDF5 files for torchferry, in a process of its own.
//
// libhdf5 has crashed on hostile files and is large; here its death is the end of this process only.  What is
// said on which pipe stands in formats/hdf5/protocol.h and FORMAT.md.

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "formats/hdf5/helper/limits.h"
#include "formats/hdf5/helper/payload.h"
#include "formats/hdf5/helper/pipes.h"
#include "formats/hdf5/helper/skeleton.h"
#include "formats/hdf5/helper/walk.h"
#include "formats/hdf5/protocol.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::hdf5::helper {
namespace {

constexpr const char* kFile = "/proc/self/fd/3";
static_assert(protocol::kFileDescriptor == 3);
constexpr std::size_t kChunkCacheBytes = 64 << 20;

struct Arguments {
  std::string_view verb;
  std::uint64_t memory_bytes = 0, seconds = 0;
  WalkLimits walk;
};

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || end != text.data() + text.size())
    throw Error(Code::bad_usage, "torchferry starts this program by itself");
  return number;
}

Arguments parse(int count, char** words) {
  if (count != 7 || number_of(words[1]) != protocol::kVersion)
    throw Error(Code::helper_missing, "this program is started by torchferry and speaks version " +
                                          std::to_string(protocol::kVersion) + " of their protocol");
  Arguments result;
  result.verb = words[2];
  result.memory_bytes = number_of(words[3]);
  result.seconds = number_of(words[4]);
  result.walk = {number_of(words[5]), number_of(words[6])};
  return result;
}

Handle open_for_reading() {
  const Handle access = access_by_descriptor();
  constexpr std::size_t kSlots = 12'421;  // a prime, some hundred times the chunks that the cache will hold
  check(H5Pset_cache(access.get(), 0, kSlots, kChunkCacheBytes, 0.75), "make properties");
  return own(H5Fopen(kFile, H5F_ACC_RDONLY, access.get()), "open the file");
}

// "ADDRESS SIZE", the numbers of a line of the listing.
void answer(hid_t file, std::string_view request, Output& output) {
  const std::size_t space = request.find(' ');
  if (space == std::string_view::npos) throw Error(Code::bad_usage, "a request is not understood");
  const std::uint64_t address = number_of(request.substr(0, space)),
                      size = number_of(request.substr(space + 1));
  read_payload(file, address, size, [&](Bytes piece) { output.put(piece); });
  output.flush();
}

void run_read(const Arguments& arguments) {
  const Handle file = open_for_reading();
  close_the_world();
  Output output;
  walk(file.get(), arguments.walk, [&](std::string_view line) { output.put(line); });
  output.put("{\"end\":true}\n");
  output.flush();
  LineInput input;
  for (std::string request; input.next(request);) answer(file.get(), request, output);
}

void run_skeleton() {
  LineInput input;
  Output output;
  const auto next = [&, line = std::string()](json::Value& object) mutable {
    if (!input.next(line)) return false;
    object = json::parse(line);
    return true;
  };
  // Answers wait until all is read: two sides that both write and do not read would wait for ever.
  std::string answers;
  make_skeleton(kFile, next, [&](std::string_view line) { answers += line; });
  output.put(answers);
  output.put("{\"end\":true}\n");
  output.flush();
}

void run(int count, char** words) {
  const Arguments arguments = parse(count, words);
  limit_process(arguments.memory_bytes, arguments.seconds);
  prepare_library();
  if (arguments.verb == protocol::kRead) return run_read(arguments);
  if (arguments.verb == protocol::kSkeleton) return run_skeleton();
  throw Error(Code::bad_usage, "no such verb");
}

int complain(Code code, const std::string& what, const std::string& where) {
  protocol::LineWriter line;
  line.key("code").natural(static_cast<std::uint64_t>(code)).key("what").text(escape_for_terminal(what));
  if (!where.empty()) line.key("where").text(escape_for_terminal(where));
  const std::string text = line.finish();
  std::fwrite(text.data(), 1, text.size(), stderr);
  return 1;
}

int guarded(int count, char** words) {
  try {
    run(count, words);
    return 0;
  } catch (const Error& error) {
    std::string where;
    for (const std::string& part : error.where()) where += (where.empty() ? "" : " ") + part;
    return complain(error.code(), error.summary(), where);
  } catch (const std::bad_alloc&) {
    return complain(Code::limit_exceeded, "the HDF5 library needs more memory than it may have", "");
  } catch (const std::exception& error) {
    return complain(Code::internal, error.what(), "");
  }
}

}  // namespace
}  // namespace ferry::hdf5::helper

// The library's own clean-up at exit walks what a hostile file has left in memory, so it is not waited for.
int main(int count, char** words) {
  const int status = ferry::hdf5::helper::guarded(count, words);
  std::fflush(nullptr);
  ::_exit(status);
}
