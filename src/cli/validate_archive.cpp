// The archive, version 1:
//
//   /          attributes schema = "torchferry.validate/1", version
//   /suites    a row for each checkpoint
//   /cases     a row for each test case, with the suite it belongs to
//   /details   a row for each line of a case; `kind` is detail or cause
//   /drifts    a row for each device on which a forward pass ran
//   /outputs   a row for each output of the model, input and run of a drift: distances and their units
//   /causes    what is likely behind a drift
//   /files, /metrics, /hull, /ulp_histogram, /values, /ties, /remarks   as in an archive of diff: a file for
//              each suite that could be compared
#include "src/cli/validate_archive.h"

#include <algorithm>
#include <map>

#include "src/cli/diff_archive.h"
#include "src/cli/validate_archive_rows.h"
#include "src/core/error.h"
#include "src/core/limits.h"
#include "src/core/sink.h"
#include "src/core/version.h"

namespace ferry::cli {
namespace {

constexpr char kSchema[] = "torchferry.validate/1";

void add_case(SavedChecks& saved, std::uint64_t suite, const policy::TestCase& one) {
  const std::uint64_t number = saved.cases.size();
  saved.cases.push_back({suite, one});
  for (const policy::CaseDetail& detail : one.details)
    saved.details.push_back({number, false, detail.subject, detail.what});
  for (const std::string& cause : one.causes) saved.details.push_back({number, true, "", cause});
}

void add_drift(SavedChecks& saved, std::uint64_t suite, const DriftVerdict& drift) {
  const std::uint64_t number = saved.drifts.size();
  for (const ForwardRow& row : drift.verdict.outputs) saved.outputs.push_back({number, row});
  for (const LikelyCause& cause : drift.verdict.causes) saved.causes.push_back({number, cause});
  saved.drifts.push_back({suite, drift});
}

std::vector<EncodedTable> encode(const std::vector<CheckResult>& results) {
  SavedChecks saved;
  report::DiffReport measured;
  for (std::uint64_t i = 0; i < results.size(); ++i) {
    const CheckResult& result = results[i];
    saved.suites.push_back({result.suite.name, result.suite.before, result.suite.after,
                            result.compared ? measured.files.size() : kNotCompared});
    if (result.compared) measured.files.push_back(result.measured);
    for (const policy::TestCase& one : result.suite.cases) add_case(saved, i, one);
    for (const DriftVerdict& drift : result.drift) add_drift(saved, i, drift);
  }
  std::vector<EncodedTable> tables = encode_measured(measured);
  tables.push_back(encode_table("suites", saved.suites, suite_fields()));
  tables.push_back(encode_table("cases", saved.cases, case_fields()));
  tables.push_back(encode_table("details", saved.details, detail_fields()));
  tables.push_back(encode_table("drifts", saved.drifts, drift_fields()));
  tables.push_back(encode_table("outputs", saved.outputs, output_fields()));
  tables.push_back(encode_table("causes", saved.causes, cause_fields()));
  return tables;
}

hdf5::ObjectSpec root() {
  hdf5::ObjectSpec object;
  object.attributes = {hdf5::text_attribute("schema", std::string(kSchema)),
                       hdf5::text_attribute("version", std::string(version()))};
  return object;
}

// --- Reading

template <typename List>
auto& row_at(List& list, std::uint64_t index, std::string_view what) {
  if (index >= list.size())
    throw Error(Code::bad_hdf5, "a row belongs to " + std::string(what) + " " + std::to_string(index));
  return list[index];
}

SavedChecks read_checks(const hdf5::File& file) {
  SavedChecks saved;
  saved.suites = decode_table(file, "suites", suite_fields());
  saved.cases = decode_table(file, "cases", case_fields());
  saved.details = decode_table(file, "details", detail_fields());
  saved.drifts = decode_table(file, "drifts", drift_fields());
  for (SavedOutput& output : decode_table(file, "outputs", output_fields()))
    row_at(saved.drifts, output.drift, "drift").drift.verdict.outputs.push_back(std::move(output.row));
  for (SavedCause& cause : decode_table(file, "causes", cause_fields()))
    row_at(saved.drifts, cause.drift, "drift").drift.verdict.causes.push_back(std::move(cause.cause));
  for (SavedDetail& detail : saved.details) {
    policy::TestCase& one = row_at(saved.cases, detail.of, "case").one;
    if (detail.is_cause)
      one.causes.push_back(std::move(detail.what));
    else
      one.details.push_back({std::move(detail.subject), std::move(detail.what)});
  }
  return saved;
}

// These follow from what was measured: they are judged anew.
bool is_about_tensors(const policy::TestCase& one) {
  return one.name == policy::kStructureChanges || one.name == policy::kTensorsEqual ||
         one.name == policy::kTensorsWithin;
}

std::vector<CheckResult> results_of(const hdf5::File& file) {
  report::DiffReport measured = decode_measured(file);
  SavedChecks saved = read_checks(file);
  std::vector<CheckResult> results;
  for (SavedSuite& suite : saved.suites) {
    CheckResult result;
    result.suite.name = suite.name;
    result.suite.before = suite.before;
    result.suite.after = suite.after;
    result.compared = suite.measured != kNotCompared;
    if (result.compared) result.measured = row_at(measured.files, suite.measured, "file");
    results.push_back(std::move(result));
  }
  for (SavedDrift& drift : saved.drifts)
    row_at(results, drift.suite, "suite").drift.push_back(std::move(drift.drift));
  for (SavedCase& one : saved.cases)
    row_at(results, one.suite, "suite").suite.cases.push_back(std::move(one.one));
  return results;
}

// Cases that `which` picks give way to others, in the place of the first of them.
template <typename Which>
void replace_cases(policy::Suite& suite, Which which, const std::vector<policy::TestCase>& others) {
  const auto place = std::ranges::find_if(suite.cases, which) - suite.cases.begin();
  std::erase_if(suite.cases, which);
  suite.cases.insert(suite.cases.begin() + place, others.begin(), others.end());
}

void judge_drift(DriftVerdict& drift, const CheckOptions& options, policy::Suite& suite) {
  judge_forward_again(drift.verdict, options.drift.bounds);
  const std::vector<policy::TestCase> fresh = forward_cases(drift);
  const auto is_of_it = [&](const policy::TestCase& one) {
    return std::ranges::any_of(fresh, [&](const policy::TestCase& other) { return other.name == one.name; });
  };
  replace_cases(suite, is_of_it, fresh);
}

void judge_result(CheckResult& result, const CheckOptions& options, const Judgement& judgement) {
  if (result.compared) {
    policy::Suite fresh;
    judge_again(result.measured, judgement, SpectralChoice::none);
    judge_measured(result.measured, options, judgement, fresh);
    result.suite.listed = std::move(fresh.listed);
    replace_cases(result.suite, is_about_tensors, fresh.cases);
  }
  for (DriftVerdict& drift : result.drift) judge_drift(drift, options, result.suite);
  drop_unwanted(options, result.suite);
}

}  // namespace

void save_validation_archive(const std::vector<CheckResult>& results, const std::string& path, bool force) {
  std::vector<EncodedTable> tables = encode(results);
  add_long_texts(tables);
  std::vector<hdf5::ObjectSpec> objects = {root()};
  for (const EncodedTable& table : tables) objects.push_back(table.object);
  const hdf5::Skeleton skeleton = hdf5::make_skeleton(objects);
  FileSink sink(path, skeleton.size, {.replace = force});
  hdf5::write_metadata(skeleton, sink);
  for (std::size_t i = 0; i < tables.size(); ++i)
    if (!tables[i].rows.empty()) sink.write_at(skeleton.payloads[i + 1].offset, tables[i].rows);
  sink.commit();
}

std::vector<CheckResult> judge_validation_archive(const CheckOptions& options) {
  const std::string& path = options.diff.before;
  refuse_choices(options.diff, "validate");
  try {
    const hdf5::File file = hdf5::File::open(open_file(path), Limits{});
    if (file.root().text_attribute("schema") != kSchema)
      throw Error(Code::bad_hdf5, "this is no archive of torchferry validate")
          .with_hint("two checkpoints are checked by: torchferry validate BEFORE AFTER");
    std::vector<CheckResult> results = results_of(file);
    const Judgement judgement = judgement_of(options.diff);
    for (CheckResult& result : results) judge_result(result, options, judgement);
    return results;
  } catch (Error& error) {
    error.of(path);
    throw;
  }
}

}  // namespace ferry::cli
