#include <algorithm>
#include <array>
#include <exception>

#include "formats/numpy/arrays.h"
#include "formats/numpy/readers.h"
#include "formats/zip/archive.h"
#include "formats/zip/inflate.h"
#include "formats/zip/inflated_source.h"
#include "formats/zip/local.h"
#include "src/core/error.h"
#include "src/core/text.h"

namespace ferry::numpy {
namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr std::size_t kSkippedNamed = 5;

bool is_program(std::string_view name) { return name == "data.pkl" || name.ends_with("/data.pkl"); }

class NpzReader {
 public:
  NpzReader(Checkpoint& checkpoint, const Limits& limits)
      : checkpoint_(checkpoint),
        archive_(zip::Archive::open(checkpoint.source, limits)),
        reader_(checkpoint, limits) {}

  void read() {
    refuse_programs();
    describe();
    read_arrays();
    const NodeId root = checkpoint_.values.make_dict(DictFlavor::plain);
    checkpoint_.values.set_items(root, items_);
    checkpoint_.values.set_root(root);
    reader_.finish();
    note_skipped();
    if (unsummed_) checkpoint_.note(root, Code::crc_not_computed, "records of the archive have no CRC-32");
  }

 private:
  // torch would take such an archive for one of its own, and run what is in it.
  void refuse_programs() const {
    for (const zip::Record& record : archive_.records())
      if (is_program(record.name))
        throw Error(Code::unsupported_container, "the archive holds numpy arrays and a program of torch.save")
            .at(record.header_offset)
            .in(zip::in_record(record.name));
  }

  void describe() {
    checkpoint_.container.format = "npz";
    checkpoint_.container.checksums = true;
    for (const zip::Record& record : archive_.records())
      checkpoint_.container.records.push_back(
          {record.name, record.data_offset, record.size, record.stored_size, record.crc});
  }

  // A broken array must not keep a later one from being refused, so the first complaint waits for the rest.
  void read_arrays() {
    std::exception_ptr first;
    for (const zip::Record& record : archive_.records()) {
      try {
        read_array(record);
      } catch (Error& error) {
        error.in(zip::in_record(record.name));
        if (error.fault() == Fault::refused) throw;
        if (!first) first = std::current_exception();
      }
    }
    if (first) std::rethrow_exception(first);
  }

  void read_array(const zip::Record& record) {
    if (!record.name.ends_with(kSuffix)) {
      skipped_.push_back(record.name);
      return;
    }
    if (archive_.find(record.name) != &record)
      throw Error(Code::bad_zip, "the name of the record is no text").at(record.header_offset);
    const std::string key = record.name.substr(0, record.name.size() - kSuffix.size());
    const NodeId name = checkpoint_.values.make_text(key);
    const NodeId value = reader_.add(place_of(record, key));
    items_.insert(items_.end(), {name, value});
    unsummed_ = unsummed_ || !record.crc_computed;
  }

  ArrayPlace place_of(const zip::Record& record, const std::string& key) {
    ArrayPlace place;
    place.key = key;
    if (record.crc_computed) place.crc = record.crc;
    if (record.method == zip::kStored) {
      place.source = archive_.source();
      place.range = {record.data_offset, record.size};
      place.head = [this, &record](std::size_t size) {
        return archive_.source()->read({record.data_offset, size});
      };
    } else {
      place.source = std::make_shared<zip::InflatedSource>(archive_.source(), record, space_);
      place.range = {0, record.size};
      place.deflated = true;
      place.head = [this, &record](std::size_t size) {
        std::vector<std::byte> bytes(size);
        zip::InflateStream(*archive_.source(), record).read(bytes);
        return bytes;
      };
    }
    return place;
  }

  void note_skipped() {
    if (skipped_.empty()) return;
    checkpoint_.note(checkpoint_.values.root(), Code::archive_metadata,
                     "members that are no arrays: " + listed(skipped_, kSkippedNamed));
  }

  Checkpoint& checkpoint_;
  const zip::Archive archive_;
  ArrayReader reader_;
  const std::shared_ptr<zip::InflatedSpace> space_ = std::make_shared<zip::InflatedSpace>();
  std::vector<NodeId> items_;  // of the root: names and values in turn
  std::vector<std::string> skipped_;
  bool unsummed_ = false;
};

}  // namespace

Likeness looks_like_npz(const ByteSource& source) {
  const Likeness archive = zip::looks_like_zip(source);
  if (!archive.matches) return {false, archive.reason};
  const std::string first = zip::first_record_name(source);
  if (first.ends_with(kSuffix)) return {true, "it is a zip archive that begins with a numpy array"};
  if (source.name().ends_with(".npz") && !is_program(first))
    return {true, "it is a zip archive that is named .npz"};
  return {false, "it is a zip archive that does not begin with a numpy array"};
}

Checkpoint open_npz(SourcePtr source, const Limits& limits) {
  Checkpoint checkpoint;
  checkpoint.source = std::move(source);
  NpzReader(checkpoint, limits).read();
  return checkpoint;
}

}  // namespace ferry::numpy
