#include "formats/zip/member.h"

#include <algorithm>
#include <vector>

#include "formats/zip/crc32.h"
#include "src/core/slice.h"

namespace ferry::zip {

SourcePtr member_source(const Archive& archive, const Record& record,
                        const std::shared_ptr<InflatedSpace>& space) {
  if (record.method != kStored) return std::make_shared<InflatedSource>(archive.source(), record, space);
  return std::make_shared<SliceSource>(archive.source(), ByteRange{record.data_offset, record.size},
                                       record.name);
}

void check_stored(const Archive& archive, const Record& record) {
  if (record.method != kStored) return;
  constexpr std::uint64_t kStep = 1 << 20;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(kStep, record.size)));
  std::uint32_t crc = 0;
  for (std::uint64_t done = 0; done < record.size; done += buffer.size()) {
    const auto part = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), record.size - done)));
    archive.source()->read_at(record.data_offset + done, part);
    crc = crc32(crc, part);
  }
  check_crc(record, crc);
}

}  // namespace ferry::zip
