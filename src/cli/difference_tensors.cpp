#include "src/cli/difference_tensors.h"

#include <algorithm>
#include <list>
#include <set>
#include <unordered_map>

#include "src/cli/diff_file.h"
#include "src/cli/diff_rows.h"
#include "src/cli/opened.h"
#include "src/core/executor.h"
#include "src/core/text.h"
#include "validators/numeric/measure_block.h"
#include "validators/numeric/numbers.h"
#include "validators/numeric/tensor_reader.h"

namespace ferry::cli {
namespace {

using report::TensorRow;

bool is_complex(DType dtype) { return numeric::format_of(dtype).components == 2; }
bool is_wide(DType dtype) {
  const numeric::NumberFormat& format = numeric::format_of(dtype);
  return format.component_bytes == 8 || (!format.is_floating() && format.component_bytes > 2);
}

// The type that holds differences of two types; float32 of float32 rounds once.
DType difference_type(DType before, DType after) {
  const bool wide = is_wide(before) || is_wide(after), complex = is_complex(before) || is_complex(after);
  if (complex) return wide ? DType::complex128 : DType::complex64;
  return wide ? DType::float64 : DType::float32;
}

// A name within a group that no other has: HDF5 divides paths at slashes, "." is the group itself, and names
// are UTF-8.
std::string link_name(const std::string& path, std::set<std::string>& taken) {
  std::string name = path.empty() || path == "." ? "(root)" : path;
  std::replace(name.begin(), name.end(), '/', '|');
  std::replace(name.begin(), name.end(), '\0', '|');
  if (!is_utf8(name, false)) name = escape_for_terminal(name);
  while (!taken.insert(name).second) name += "'";
  return name;
}

void store(DType dtype, long double value, std::byte* at) {
  if (dtype == DType::float32 || dtype == DType::complex64)
    store_le(at, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
  else
    store_le(at, std::bit_cast<std::uint64_t>(static_cast<double>(value)));
}

// One block of elements after − before, component by component.
void subtract(const numeric::TensorView& before, Bytes mine, const numeric::TensorView& after, Bytes others,
              DType dtype, std::span<std::byte> out) {
  const numeric::NumberFormat &x = numeric::format_of(before.dtype), &y = numeric::format_of(after.dtype);
  const std::size_t components = is_complex(dtype) ? 2 : 1, size = info(dtype).itemsize / components;
  const std::size_t count = out.size() / (size * components);
  const auto part = [](const numeric::NumberFormat& format, Bytes bytes, std::size_t element,
                       std::size_t component) {
    if (component >= format.components) return 0.0L;
    const std::size_t at = element * format.element_bytes() + component * format.component_bytes;
    return numeric::decode_component(format, numeric::load_bits(&bytes[at], format.component_bytes));
  };
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t c = 0; c < components; ++c)
      store(dtype, part(y, others, i, c) - part(x, mine, i, c), &out[(i * components + c) * size]);
}

}  // namespace

struct DifferenceTensors::State {
  struct Sides {
    Opened opened[2];
    std::unique_ptr<TensorViews> views[2];
  };
  struct Pair {
    const Sides* sides;
    std::uint32_t before, after;
    DType dtype;
  };
  std::list<Sides> files;
  std::vector<hdf5::ObjectSpec> objects;
  std::vector<Pair> pairs;

  void add_file(const report::FileDiff& file, const DiffOptions& options, const structure::NameMap& names,
                const std::vector<std::string>& group, std::size_t first_row) {
    Sides& sides = files.emplace_back();
    SerialExecutor executor;
    open_both({file.before.path, file.after.path}, options, executor, sides.opened);
    for (std::size_t i = 0; i < 2; ++i)
      sides.views[i] = std::make_unique<TensorViews>(sides.opened[i].checkpoint);
    const structure::Pairing pairing =
        pair_tensors(sides.opened[0], sides.opened[1], names, *sides.views[0], *sides.views[1]);
    std::set<std::string> taken;
    for (std::size_t i = 0; i < std::min(pairing.tensors.size(), file.tensors.size()); ++i) {
      const TensorRow& row = file.tensors[i];
      const bool wanted = row.measured && row.drift.differing > 0 && numeric::is_numeric(row.drift.before) &&
                          numeric::is_numeric(row.drift.after);
      if (!wanted || !pairing.tensors[i].paired()) continue;
      hdf5::ObjectSpec object;
      object.path = group;
      object.path.push_back(link_name(row.before.path.str(), taken));
      object.attributes = {hdf5::integer_attribute("row", static_cast<std::int64_t>(first_row + i))};
      const DType dtype = difference_type(row.drift.before, row.drift.after);
      object.type = info(dtype).name;
      object.shape.assign(row.before.shape.begin(), row.before.shape.end());
      objects.push_back(std::move(object));
      pairs.push_back({&sides, pairing.tensors[i].before.tensor, pairing.tensors[i].after.tensor, dtype});
    }
  }
};

DifferenceTensors::DifferenceTensors() : state_(std::make_unique<State>()) {}
DifferenceTensors::~DifferenceTensors() = default;
DifferenceTensors::DifferenceTensors(DifferenceTensors&&) noexcept = default;
DifferenceTensors& DifferenceTensors::operator=(DifferenceTensors&&) noexcept = default;

DifferenceTensors::DifferenceTensors(const report::DiffReport& report, const DiffOptions& options,
                                     const structure::NameMap& names)
    : state_(std::make_unique<State>()) {
  std::size_t row = 0;
  std::set<std::string> taken;
  for (std::size_t i = 0; i < report.files.size(); ++i) {
    const report::FileDiff& file = report.files[i];
    if (file.error) continue;
    state_->add_file(file, options, names,
                     {"differences", link_name(file.name.empty() ? std::to_string(i) : file.name, taken)},
                     row);
    row += file.tensors.size();
  }
}

const std::vector<hdf5::ObjectSpec>& DifferenceTensors::objects() const { return state_->objects; }

void DifferenceTensors::write(std::span<const ByteRange> places, FileSink& sink) const {
  constexpr std::uint64_t kBlock = std::uint64_t{1} << 16;  // elements
  std::vector<std::byte> mine, others, out;
  for (std::size_t i = 0; i < state_->pairs.size(); ++i) {
    const State::Pair& pair = state_->pairs[i];
    const numeric::TensorView before = pair.sides->views[0]->view(pair.before);
    const numeric::TensorView after = pair.sides->views[1]->view(pair.after);
    const std::uint64_t size = info(pair.dtype).itemsize, count = places[i].size / size;
    for (std::uint64_t at = 0; at < count; at += kBlock) {
      const std::uint64_t some = std::min(kBlock, count - at);
      mine.resize(some * info(before.dtype).itemsize);
      others.resize(some * info(after.dtype).itemsize);
      out.resize(some * size);
      numeric::read_elements(before, at, some, mine);
      numeric::read_elements(after, at, some, others);
      subtract(before, mine, after, others, pair.dtype, out);
      sink.write_at(places[i].offset + at * size, out);
    }
  }
}

}  // namespace ferry::cli
