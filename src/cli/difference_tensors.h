// The differences themselves, for an archive: after − before of every tensor that differs.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "formats/hdf5/skeleton.h"
#include "src/cli/diff.h"
#include "src/core/bytes.h"
#include "src/core/sink.h"
#include "src/report/difference.h"
#include "validators/structure/pairing.h"

namespace ferry::cli {

class DifferenceTensors {
 public:
  DifferenceTensors();  // none
  // Opens and pairs the files of the report once more; nothing is read yet.
  DifferenceTensors(const report::DiffReport& report, const DiffOptions& options,
                    const structure::NameMap& names);
  ~DifferenceTensors();
  DifferenceTensors(DifferenceTensors&&) noexcept;
  DifferenceTensors& operator=(DifferenceTensors&&) noexcept;

  // Datasets /differences/<file>/<name>: float32 where both types are at most that wide, else float64,
  // complex64 and complex128 for complex types.  The attribute `row` is the tensor's row of /metrics, which
  // has its true name: in that of the dataset a slash reads "|", and what is no UTF-8 is escaped.
  const std::vector<hdf5::ObjectSpec>& objects() const;
  // Fills them, block by block; places[i] belongs to objects()[i].
  void write(std::span<const ByteRange> places, FileSink& sink) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry::cli
