// Ending on a signal without leaving half a file.
#pragma once

namespace ferry::cli {

// From now on SIGINT, SIGTERM and SIGHUP remove what is being written and end the process with 128 + the
// signal's number.  They are taken by a thread of its own, so that the removal is ordinary code.  A signal
// that was ignored (by nohup, by a shell for its background jobs) stays so.  SIGPIPE and SIGXFSZ become
// errors of the write that met them. To be called before other threads are started.
void watch_signals();

}  // namespace ferry::cli
