// Reads the records of a written file back, from the file, and compares them with what was copied.
#include <algorithm>

#include "formats/copy/copy.h"
#include "formats/copy/tasks.h"
#include "formats/zip/crc32.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::copy {

void fail_verification(const std::string& what, const std::string& record) {
  throw Error(Code::output_differs, "the written file differs from the plan: " + what)
      .in("in record " + quote(record));
}

void verify_records(const ByteSource& written, const Plan& plan, const std::vector<std::uint32_t>& crcs,
                    Executor& executor) {
  if (written.size() != plan.size)
    fail_verification(
        "it has " + std::to_string(written.size()) + " bytes, planned were " + std::to_string(plan.size), "");
  const auto tasks = plan_tasks(
      plan, [](const Record&) { return true; }, plan.records.size());
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
    const Record& last = plan.records[task.last - 1];
    Buffer buffer(static_cast<std::size_t>(last.data_offset + last.size - begin));
    written.read_at(begin, buffer.span());
    for (std::size_t i = task.first; i < task.last; ++i) {
      const Record& record = plan.records[i];
      const auto data = buffer.span().subspan(static_cast<std::size_t>(record.data_offset - begin),
                                              static_cast<std::size_t>(record.size));
      if (zip::crc32(0, data) != crcs[i]) fail_verification("its bytes do not give the CRC", record.name);
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
    if (crc != crcs[record]) fail_verification("its bytes do not give the CRC", plan.records[record].name);
  }
}

}  // namespace ferry::copy
