// Reads a written archive back, from the file, and compares it with what was planned.
#include <algorithm>
#include <cstring>

#include "formats/torch/tasks.h"
#include "formats/torch/write.h"
#include "formats/zip/archive.h"
#include "formats/zip/crc32.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::torch {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& record) {
  throw Error(Code::output_differs, "the written file differs from the plan: " + what)
      .in("in record " + quote(record));
}

// A source that is not owned: Archive wants shared ownership, the caller keeps the sink alive.
SourcePtr borrowed(const ByteSource& source) { return SourcePtr(SourcePtr(), &source); }

void compare_directory(const zip::Archive& archive, const ZipPlan& plan, const WriteResult& result) {
  if (archive.records().size() != plan.records.size())
    fail("it has " + std::to_string(archive.records().size()) + " records, planned were " +
             std::to_string(plan.records.size()),
         "");
  for (std::size_t i = 0; i < plan.records.size(); ++i) {
    const zip::Record& found = archive.records()[i];
    const PlannedRecord& planned = plan.records[i];
    if (found.name != planned.name) fail("a record is called " + quote(found.name), planned.name);
    if (found.size != planned.size || found.header_offset != planned.header_offset ||
        found.data_offset != planned.data_offset || found.method != zip::kStored)
      fail("it has another size or place", planned.name);
    if (found.crc != result.crcs[i]) fail("it has another CRC", planned.name);
  }
  // What is planned leaves no gaps: a descriptor that is missing would be one.
  if (archive.unlisted_bytes() != 0)
    fail("it has " + std::to_string(archive.unlisted_bytes()) + " bytes that belong to no record", "");
}

}  // namespace

void verify_zip(const ByteSource& written, const ZipPlan& plan, const WriteResult& result,
                Executor& executor) {
  if (written.size() != plan.size)
    fail("it has " + std::to_string(written.size()) + " bytes, planned were " + std::to_string(plan.size),
         "");
  const zip::Archive archive = zip::Archive::open(borrowed(written), Limits{});
  compare_directory(archive, plan, result);

  const auto tasks = plan_tasks(
      plan, [](const PlannedRecord&) { return true; }, plan.records.size());
  std::vector<std::uint32_t> slice_crcs(tasks.size());
  executor.run(tasks.size(), [&](std::size_t t) {
    const Task& task = tasks[t];
    if (task.kind == Task::Kind::slice) {
      Buffer buffer(static_cast<std::size_t>(task.size));
      written.read_at(plan.records[task.first].data_offset + task.offset, buffer.span());
      slice_crcs[t] = zip::crc32(0, buffer.span());
      return;
    }
    const std::uint64_t begin = plan.records[task.first].data_offset;
    const PlannedRecord& last = plan.records[task.last - 1];
    Buffer buffer(static_cast<std::size_t>(last.data_offset + last.size - begin));
    written.read_at(begin, buffer.span());
    for (std::size_t i = task.first; i < task.last; ++i) {
      const PlannedRecord& record = plan.records[i];
      const auto data = buffer.span().subspan(static_cast<std::size_t>(record.data_offset - begin),
                                              static_cast<std::size_t>(record.size));
      if (zip::crc32(0, data) != result.crcs[i]) fail("its bytes do not give the CRC", record.name);
    }
  });
  for (std::size_t t = 0; t < tasks.size();) {
    if (tasks[t].kind != Task::Kind::slice) {
      ++t;
      continue;
    }
    const std::size_t record = tasks[t].first;
    std::uint32_t crc = 0;
    for (; t < tasks.size() && tasks[t].kind == Task::Kind::slice && tasks[t].first == record; ++t)
      crc = zip::crc32_combine(crc, slice_crcs[t], tasks[t].size);
    if (crc != result.crcs[record]) fail("its bytes do not give the CRC", plan.records[record].name);
  }
}

}  // namespace ferry::torch
