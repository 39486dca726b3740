#include "src/cli/recorder.h"

#include "src/cli/terminal.h"
#include "src/core/sink.h"
#include "src/core/text.h"

namespace ferry::cli {

int run_recorder(const RecorderOptions& options) {
  const std::string_view text = recorder_text();
  if (options.output.empty()) {
    print(text);
    return 0;
  }
  FileSink sink(options.output, text.size(), {.replace = options.force});
  sink.write_at(0, as_bytes(text));
  sink.commit();
  return 0;
}

}  // namespace ferry::cli
