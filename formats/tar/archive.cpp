#include "formats/tar/archive.h"

#include <algorithm>
#include <array>

#include "formats/tar/header.h"
#include "formats/tar/layout.h"
#include "src/core/checked.h"
#include "src/core/slice.h"
#include "src/core/text.h"

namespace ferry::tar {
namespace {

constexpr std::uint64_t kExtensionMax = 1 << 20;  // bytes of one extended header: names, times, owners

struct KindOfType {
  char type;
  std::string_view name;
};
constexpr auto kNoFiles = std::to_array<KindOfType>({
    {type::kHardLink, "hard link"},
    {type::kSymbolicLink, "symbolic link"},
    {type::kCharacterDevice, "device"},
    {type::kBlockDevice, "device"},
    {type::kFolder, "folder"},
    {type::kFifo, "FIFO"},
});

bool is_file_type(char type) {
  return type == type::kFile || type == type::kOldFile || type == type::kContiguousFile;
}

// Walks header by header; what it has found so far stays when it throws.
class Walk {
 public:
  Walk(const ByteSource& source, const Limits& limits, std::vector<Member>& members)
      : source_(source), reader_(source, 64 << 10), limits_(limits), members_(members) {}

  // Returns where the end marker ends.
  std::uint64_t run() {
    while (!at_end_marker()) {
      try {
        step();
      } catch (Error& error) {
        if (error.where().empty()) error.at(at_);
        throw;
      }
    }
    return at_ + 2 * kBlock;
  }

 private:
  Bytes block_at(std::uint64_t at) {
    if (!fits(at, kBlock, source_.size()))
      throw Error(Code::truncated, at >= source_.size()
                                       ? "the file ends where a header or the end of the archive belongs"
                                       : "the file ends within a header")
          .at(at);
    return reader_.view(at, kBlock);
  }

  // Two blocks of zeros; nothing that follows one block of zeros is a member.
  bool at_end_marker() {
    if (!is_zero_block(block_at(at_))) return false;
    if (extension_.name || extension_.size)
      throw Error(Code::bad_tar, "an extended header describes no member").at(at_);
    if (!is_zero_block(block_at(at_ + kBlock)))
      throw Error(Code::bad_tar, "a lone block of zeros stands between members").at(at_);
    return true;
  }

  void step() {
    const Header header = read_header(block_at(at_));
    switch (header.type) {
      case type::kPax:
      case type::kSolarisPax:
      case type::kGlobalPax:
        return read_pax(header);
      case type::kGnuLongName:
        if (extension_.name) throw Error(Code::bad_tar, "two extended headers name one member");
        extension_.name = read_extension(header);
        while (extension_.name->ends_with('\0')) extension_.name->pop_back();
        return;
      case type::kGnuLongLink:
        read_extension(header);
        return;
      default:
        return add_member(header);
    }
  }

  std::string read_extension(const Header& header) {
    if (header.size > kExtensionMax)
      throw Error(Code::limit_exceeded, "an extended header has " + grouped(header.size) + " bytes");
    const std::uint64_t begin = at_ + kBlock;
    if (!fits(begin, header.size, source_.size()))
      throw Error(Code::truncated, "the file ends within an extended header").at(begin);
    const auto bytes = source_.read({begin, header.size});
    at_ = begin + padded(header.size);
    return std::string(as_text(Bytes(bytes)));
  }

  void read_pax(const Header& header) {
    const bool global = header.type == type::kGlobalPax;
    const std::uint64_t begin = at_;
    Extension found;
    try {
      read_pax_records(read_extension(header), global, found);
    } catch (Error& error) {
      if (error.where().empty()) error.at(begin);
      throw;
    }
    if ((found.name && extension_.name) || (found.size && extension_.size))
      throw Error(Code::bad_tar, "two extended headers describe one member").at(begin);
    if (found.name) extension_.name = std::move(found.name);
    if (found.size) extension_.size = found.size;
  }

  void add_member(const Header& header) {
    if (members_.size() >= limits_.records_max)
      throw Error(Code::limit_exceeded,
                  "the archive has more than " + grouped(limits_.records_max) + " members");
    Member member;
    member.name = extension_.name.value_or(header.name);
    member.size = extension_.size.value_or(header.size);
    member.header_offset = at_;
    member.data_offset = at_ + kBlock;
    extension_ = {};
    name_kind(header, member);
    members_.push_back(member);
    if (!fits(member.data_offset, member.size, source_.size()))
      throw Error(Code::truncated,
                  "the member has " + std::to_string(member.size) + " bytes where " +
                      std::to_string(source_.size() - std::min(member.data_offset, source_.size())) +
                      " are left in the file")
          .at(member.data_offset)
          .in(in_member(member.name));
    at_ = member.data_offset + padded(member.size);
  }

  // Only a file has bytes behind its header; of others some readers skip as many as they announce, some none.
  static void name_kind(const Header& header, Member& member) {
    if (is_file_type(header.type)) return;
    const auto row = std::find_if(kNoFiles.begin(), kNoFiles.end(),
                                  [&](const KindOfType& kind) { return kind.type == header.type; });
    if (row == kNoFiles.end())
      throw Error(Code::unsupported_container, "a member is of the unknown type " +
                                                   quote(std::string(1, header.type)) +
                                                   (header.type == type::kGnuSparse ? ", a sparse file" : ""))
          .at(member.header_offset)
          .in(in_member(member.name));
    member.kind = row->name;
    member.is_file = false;
    if (member.size != 0)
      throw Error(Code::bad_tar, "a " + member.kind + " has bytes")
          .at(member.header_offset)
          .in(in_member(member.name));
  }

  // `size` lies inside the file, so this does not wrap.
  static std::uint64_t padded(std::uint64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

  const ByteSource& source_;
  WindowReader reader_;
  const Limits& limits_;
  std::vector<Member>& members_;
  std::uint64_t at_ = 0;
  Extension extension_;  // of the next member
};

}  // namespace

std::string in_member(std::string_view name) { return "in member " + quote(name); }

Likeness looks_like_tar(const ByteSource& source) {
  const std::size_t magic_end = header::kMagic.at + header::kMagic.size;
  if (source.size() < magic_end) return {false, "it is shorter than a tar header"};
  const auto head = source.read({0, std::min<std::uint64_t>(kBlock, source.size())});
  if (as_text(Bytes(head).subspan(header::kMagic.at, header::kMagic.size)) == kMagic)
    return {true, "it starts with a tar header"};
  if (head.size() == kBlock && !is_zero_block(head) && has_right_checksum(head))
    return {true, "it starts with a tar header of the oldest kind"};
  return {false, "it does not start with a tar header"};
}

Archive Archive::open(SourcePtr source, const Limits& limits) {
  std::optional<Error> why;
  Archive archive = open_broken(std::move(source), limits, why);
  if (why) throw *why;
  return archive;
}

Archive Archive::open_broken(SourcePtr source, const Limits& limits, std::optional<Error>& why) {
  Archive archive;
  try {
    archive.end_ = Walk(*source, limits, archive.members_).run();
  } catch (const Error& error) {
    if (error.fault() != Fault::corrupt) throw;
    why = error;
  }
  archive.source_ = std::move(source);
  return archive;
}

const Member* Archive::find(std::string_view name) const {
  const Member* found = nullptr;
  for (const Member& member : members_) {
    if (member.name != name) continue;
    if (found != nullptr)
      throw Error(Code::duplicate_record, "the tar archive has two members " + quote(name) +
                                              ", the second at byte " + std::to_string(member.header_offset))
          .at(found->header_offset);
    found = &member;
  }
  if (found != nullptr && !found->is_file)
    throw Error(Code::bad_tar, "the member " + quote(name) + " is a " + found->kind + ", no file")
        .at(found->header_offset);
  return found;
}

SourcePtr Archive::bytes_of(const Member& member) const {
  const std::uint64_t begin = std::min(member.data_offset, source_->size());
  return std::make_shared<SliceSource>(
      source_, ByteRange{begin, std::min(member.size, source_->size() - begin)}, source_->name());
}

}  // namespace ferry::tar
