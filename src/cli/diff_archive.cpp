// The archive, version 1: what was found, with every difference that any options would count.
//
//   /                 attributes schema = "torchferry.diff/1", version, spectral: worst, all or none
//   /files            a row for each pair of files; error_code … of one that could not be compared
//   /unpaired         files of folders without a partner
//   /metrics          a row for each tensor, in the order of the report
//   /hull             float64 (n, 2): corners (|before|, |after − before|) that decide for any tolerance
//   /ulp_histogram    uint64 (rows of /metrics, 67): bin 0 is 0 ULP, 1 is (0, ½], 2 is (½, 1], b is (2^(b−3),
//                     2^(b−2)]
//   /values, /ties, /remarks      what differs besides numbers
//   /long_texts, /long_text_bytes what the cells of these tables cannot hold: texts of more than 1000 bytes,
//                     whose cell begins with "…", and texts that end in NUL
//   /differences/<file>/<name>    after − before of tensors that differ, where that was asked for; attribute
//                     row: of /metrics
//
// Of /metrics: where `measured` is 0, real numbers are NaN and counts 0; where `counted` is 0, so are counts
// of finite numbers, infinities and NaNs.  A sum (difference_squares, before_squares, after_squares,
// products, difference_sum) has 64 bits of significand and more room than a double: it is (X + X_low) ·
// 2^X_exponent, where the exponent is 0 but for sums that doubles cannot hold.  worst_before_bits and
// worst_after_bits are the element's own bits.
#include "src/cli/diff_archive.h"

#include <map>
#include <set>
#include <utility>

#include "src/cli/archive_rows.h"
#include "src/cli/archive_table.h"
#include "src/cli/diff_rows.h"
#include "src/cli/difference_tensors.h"
#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/version.h"

namespace ferry::cli {
namespace {

using report::DiffReport;
using report::FileDiff;

constexpr char kSchema[] = "torchferry.diff/1";

struct SavedRows {
  std::vector<SavedFile> files;
  std::vector<SavedPath> unpaired;
  std::vector<SavedTensor> tensors;
  std::vector<SavedValue> values;
  std::vector<SavedTie> ties;
  std::vector<SavedRemark> remarks;
  std::vector<std::byte> hull, histograms;
};

void add_tensor(SavedRows& rows, std::uint64_t file, const report::TensorRow& row) {
  SavedTensor saved{file, rows.hull.size() / 16, row.drift.hull.size(), row};
  for (const HullPoint& point : row.drift.hull) {
    put_word(rows.hull, std::bit_cast<std::uint64_t>(point.before));
    put_word(rows.hull, std::bit_cast<std::uint64_t>(point.difference));
  }
  for (std::size_t bin = 0; bin < kUlpBins; ++bin) put_word(rows.histograms, row.drift.ulps[bin]);
  rows.tensors.push_back(std::move(saved));
}

SavedRows rows_of(const DiffReport& report) {
  SavedRows rows;
  for (const std::string& path : report.only_before) rows.unpaired.push_back({path, true});
  for (const std::string& path : report.only_after) rows.unpaired.push_back({path, false});
  for (std::uint64_t i = 0; i < report.files.size(); ++i) {
    const FileDiff& file = report.files[i];
    SavedFile saved;
    saved.file.name = file.name;
    saved.file.before = file.before;
    saved.file.after = file.after;
    saved.file.values_compared = file.values_compared;
    saved.file.error = file.error;
    rows.files.push_back(std::move(saved));
    for (const report::TensorRow& row : file.tensors) add_tensor(rows, i, row);
    for (const report::ValueRow& row : file.values) rows.values.push_back({i, row});
    for (std::uint64_t tie = 0; tie < file.tying.size(); ++tie) {
      const report::TyingRow& row = file.tying[tie];
      for (const std::string& path : row.tied_before) rows.ties.push_back({i, tie, path, row.what, true});
      for (const std::string& path : row.tied_after) rows.ties.push_back({i, tie, path, row.what, false});
    }
    for (const Change& change : file.listed) rows.remarks.push_back({i, true, change});
    for (const report::DiffRemark& one : file.remarks)
      rows.remarks.push_back({i, false, {one.code, one.path, one.what}});
  }
  return rows;
}

EncodedTable numbers_table(std::string name, std::string type, std::vector<std::int64_t> shape,
                           std::vector<std::byte> bytes) {
  EncodedTable table;
  table.object = {.path = {std::move(name)}, .type = std::move(type), .shape = std::move(shape)};
  table.rows = std::move(bytes);
  return table;
}

std::string_view name_of(SpectralChoice choice) {
  return choice == SpectralChoice::all ? "all" : choice == SpectralChoice::none ? "none" : "worst";
}

hdf5::ObjectSpec root_of(const DiffOptions& options) {
  hdf5::ObjectSpec root;
  root.attributes = {hdf5::text_attribute("schema", std::string(kSchema)),
                     hdf5::text_attribute("version", std::string(version())),
                     hdf5::text_attribute("spectral", std::string(name_of(options.spectral)))};
  return root;
}

std::vector<EncodedTable> encode(const SavedRows& rows) {
  std::vector<EncodedTable> tables;
  tables.push_back(encode_table("files", rows.files, file_fields()));
  tables.push_back(encode_table("unpaired", rows.unpaired, unpaired_fields()));
  tables.push_back(encode_table("metrics", rows.tensors, tensor_fields()));
  tables.push_back(encode_table("values", rows.values, value_fields()));
  tables.push_back(encode_table("ties", rows.ties, tie_fields()));
  tables.push_back(encode_table("remarks", rows.remarks, remark_fields()));
  tables.push_back(
      numbers_table("hull", "float64", {static_cast<std::int64_t>(rows.hull.size() / 16), 2}, rows.hull));
  tables.push_back(
      numbers_table("ulp_histogram", "uint64",
                    {static_cast<std::int64_t>(rows.tensors.size()), static_cast<std::int64_t>(kUlpBins)},
                    rows.histograms));
  return tables;
}

// --- Reading

std::vector<std::uint64_t> words_of(const hdf5::File& file, const std::string& name, std::string_view dtype,
                                    std::int64_t columns) {
  const hdf5::Object* const object = file.find("/" + name);
  if (object == nullptr || object->content != hdf5::Object::Content::tensor ||
      info(object->dtype).name != dtype || object->shape.size() != 2 || object->shape[1] != columns)
    throw Error(Code::bad_hdf5, "this is no archive of torchferry: it has no dataset " + quote(name));
  const std::vector<std::byte> bytes = file.read(*object);
  std::vector<std::uint64_t> words(bytes.size() / 8);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = word_at(bytes, 8 * i, object->big_endian);
  return words;
}

FileDiff& file_at(DiffReport& report, std::uint64_t index) {
  if (index >= report.files.size())
    throw Error(Code::bad_hdf5, "a row belongs to file " + std::to_string(index));
  return report.files[index];
}

void read_tensors(const hdf5::File& file, DiffReport& report) {
  const auto hull = words_of(file, "hull", "float64", 2);
  const auto histograms = words_of(file, "ulp_histogram", "uint64", static_cast<std::int64_t>(kUlpBins));
  std::vector<SavedTensor> tensors = decode_table(file, "metrics", tensor_fields());
  if (histograms.size() != tensors.size() * kUlpBins)
    throw Error(Code::bad_hdf5, "/ulp_histogram does not fit /metrics");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    SavedTensor& saved = tensors[i];
    Drift& drift = saved.row.drift;
    if (saved.hull_begin > hull.size() / 2 || saved.hull_count > hull.size() / 2 - saved.hull_begin)
      throw Error(Code::bad_hdf5, "/hull is shorter than /metrics says");
    for (std::uint64_t k = saved.hull_begin; k < saved.hull_begin + saved.hull_count; ++k)
      drift.hull.push_back({std::bit_cast<double>(hull[2 * k]), std::bit_cast<double>(hull[2 * k + 1])});
    for (std::size_t bin = 0; bin < kUlpBins; ++bin) drift.ulps.add(bin, histograms[i * kUlpBins + bin]);
    drift.before = saved.row.before.dtype.value_or(drift.before);
    drift.after = saved.row.after.dtype.value_or(drift.after);
    file_at(report, saved.file).tensors.push_back(std::move(saved.row));
  }
}

void read_rest(const hdf5::File& file, DiffReport& report) {
  for (SavedValue& saved : decode_table(file, "values", value_fields()))
    file_at(report, saved.file).values.push_back(std::move(saved.row));
  std::map<std::pair<std::uint64_t, std::uint64_t>, report::TyingRow> ties;
  for (SavedTie& saved : decode_table(file, "ties", tie_fields())) {
    report::TyingRow& row = ties[{saved.file, saved.tie}];
    row.what = saved.what;
    (saved.before ? row.tied_before : row.tied_after).push_back(std::move(saved.path));
  }
  for (auto& [key, row] : ties) file_at(report, key.first).tying.push_back(std::move(row));
  for (SavedRemark& saved : decode_table(file, "remarks", remark_fields())) {
    FileDiff& to = file_at(report, saved.file);
    if (saved.listed)
      to.listed.push_back(std::move(saved.change));
    else
      to.remarks.push_back({saved.change.code, std::move(saved.change.path), std::move(saved.change.what)});
  }
}

// A pair of elements was there to compare, though the comparison may have been given up.
bool was_compared(const report::TensorRow& row) {
  return row.measured || (row.state == report::DiffState::incomparable && row.drift.elements > 0 &&
                          row.before.shape == row.after.shape);
}

// Where NaNs are equal, nobody reads the numbers of a pair of equal bits.
void forget_numbers(report::TensorRow& row) {
  Drift known;
  known.before = row.drift.before;
  known.after = row.drift.after;
  known.elements = row.drift.elements;
  row.drift = std::move(known);
  row.counted = row.drift.elements == 0;
}

}  // namespace

Judgement whatever_counts() {
  Judgement judgement;
  judgement.nan = NaNPolicy::strict;
  return judgement;
}

std::vector<EncodedTable> encode_measured(const DiffReport& report) { return encode(rows_of(report)); }

DiffReport decode_measured(const hdf5::File& file) {
  DiffReport report;
  for (SavedFile& saved : decode_table(file, "files", file_fields()))
    report.files.push_back(std::move(saved.file));
  for (SavedPath& saved : decode_table(file, "unpaired", unpaired_fields()))
    (saved.before ? report.only_before : report.only_after).push_back(std::move(saved.path));
  read_tensors(file, report);
  read_rest(file, report);
  return report;
}

void judge_again(FileDiff& file, const Judgement& judgement, SpectralChoice spectral) {
  const QuantizedParts quantized(file.tensors);
  RowJudge judge(judgement, quantized);
  for (report::TensorRow& row : file.tensors) {
    judge_without_data(row, judgement);
    if (!was_compared(row)) continue;
    if (row.measured && row.drift.bits_equal() && judgement.nan == NaNPolicy::equal) forget_numbers(row);
    judge.judge(row);
  }
  const Differences all = count_differences(file);
  excuse(file, judgement);
  explain_again(all, file, spectral);
}

void save_archive(std::vector<EncodedTable> tables, const DiffReport& report, const DiffOptions& options,
                  const structure::NameMap& names) {
  add_long_texts(tables);
  std::vector<hdf5::ObjectSpec> objects = {root_of(options)};
  for (const EncodedTable& table : tables) objects.push_back(table.object);
  DifferenceTensors differences;
  if (options.save_differences) differences = DifferenceTensors(report, options, names);
  for (const hdf5::ObjectSpec& object : differences.objects()) objects.push_back(object);

  const hdf5::Skeleton skeleton = hdf5::make_skeleton(objects);
  FileSink sink(options.save, skeleton.size, {.replace = options.force});
  hdf5::write_metadata(skeleton, sink);
  for (std::size_t i = 0; i < tables.size(); ++i)
    if (!tables[i].rows.empty()) sink.write_at(skeleton.payloads[i + 1].offset, tables[i].rows);
  differences.write(std::span(skeleton.payloads).subspan(1 + tables.size()), sink);
  sink.commit();
}

namespace {

// A checkpoint alone is no archive: most likely the other one was forgotten.
hdf5::File open_archive(const std::string& path) {
  constexpr char kHint[] = "--save writes archives; two files are compared by: torchferry diff BEFORE AFTER";
  try {
    hdf5::File file = hdf5::File::open(open_file(path), Limits{});
    if (file.root().text_attribute("schema") != kSchema)
      throw Error(Code::bad_hdf5, "this is no archive of torchferry diff");
    return file;
  } catch (Error& error) {
    if (error.code() == Code::bad_hdf5) error.with_hint(kHint);
    throw;
  }
}

}  // namespace

void refuse_choices(const DiffOptions& options, std::string_view verb) {
  const std::pair<std::string_view, bool> choices[] = {{"--select", !options.rules.select.empty()},
                                                       {"--include", !options.rules.includes.empty()},
                                                       {"--exclude", !options.rules.excludes.empty()},
                                                       {"--rename", !options.rules.renames.empty()},
                                                       {"--recipe", options.rules.recipe != nullptr},
                                                       {"--map", !options.map.empty()},
                                                       {"--as-stored", options.as_stored},
                                                       {"--files", !options.files.empty()},
                                                       {"--skip", !options.skips.empty()}};
  for (const auto& [option, given] : choices)
    if (given)
      throw Error(Code::bad_usage,
                  std::string(option) + " says what is compared, and an archive holds what was compared")
          .of(options.before)
          .with_hint("torchferry " + std::string(verb) + " BEFORE AFTER " + std::string(option) +
                     " …; --ignore GLOB leaves differences of an archive out of the verdict");
}

DiffReport read_archive(const DiffOptions& options) {
  refuse_choices(options, "diff");
  try {
    const hdf5::File file = open_archive(options.before);
    if (options.spectral == SpectralChoice::all &&
        file.root().text_attribute("spectral") != name_of(SpectralChoice::all))
      throw Error(Code::bad_usage, "the archive does not have all ratios of spectral norms")
          .with_hint("torchferry diff BEFORE AFTER --save m.h5 --spectral all");
    return decode_measured(file);
  } catch (Error& error) {
    error.of(options.before);
    throw;
  }
}

}  // namespace ferry::cli
