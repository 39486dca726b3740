#include <map>
#include <string>

#include "src/convert/rules/apply.h"
#include "src/convert/wording.h"

namespace ferry::convert {

void devices_to_cpu(Checkpoint& checkpoint, const RuleOptions&, ChangeLog& log) {
  std::map<std::string, std::size_t>
      counts;  // sorted: the report must not depend on the order of the records
  const std::uint16_t cpu = checkpoint.device_index("cpu");
  for (Storage& storage : checkpoint.storages) {
    if (storage.device == cpu) continue;
    ++counts[checkpoint.devices[storage.device]];
    storage.device = cpu;
  }
  for (const auto& [device, count] : counts)
    log.add(Code::device_to_cpu, "", counted(count, "storage") + " tagged " + device + " → cpu");
}

}  // namespace ferry::convert
