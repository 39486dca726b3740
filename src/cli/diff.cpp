#include "src/cli/diff.h"

#include <sys/stat.h>

#include <algorithm>
#include <new>

#include "src/cli/destinations.h"
#include "src/cli/diff_archive.h"
#include "src/cli/diff_file.h"
#include "src/cli/diff_folders.h"
#include "src/cli/diff_golden.h"
#include "src/cli/name_map.h"
#include "src/cli/opened.h"
#include "src/cli/progress.h"
#include "src/cli/terminal.h"
#include "src/core/error.h"
#include "src/core/sink.h"
#include "src/core/text.h"
#include "src/core/version.h"
#include "src/parallel/thread_executor.h"
#include "src/report/difference.h"

namespace ferry::cli {
namespace {

using report::DiffReport;
using report::FileDiff;

// Whatever stops one pair is its result; the others go on.
FileDiff diff_guarded(const FolderPair& pair, const DiffOptions& options, const structure::NameMap& names,
                      const Judgement& judgement, Executor& executor, Progress& progress) {
  FileDiff file;
  file.name = pair.name;
  file.before.path = pair.before;
  file.after.path = pair.after;
  const auto stopped_by = [&](const Error& error) {
    FileDiff stopped;
    stopped.name = pair.name;
    stopped.before.path = pair.before;
    stopped.after.path = pair.after;
    stopped.error = error;
    file = std::move(stopped);
  };
  try {
    diff_file(
        {pair.before, pair.after}, options, names, judgement, executor,
        [&](std::uint64_t bytes) { progress.add_bytes(bytes); }, file);
    file.before.path = pair.before;
    file.after.path = pair.after;
  } catch (const Error& error) {
    stopped_by(error);
  } catch (const std::bad_alloc&) {
    stopped_by(Error(Code::out_of_memory, "there was not enough memory"));
  } catch (const std::exception& error) {
    stopped_by(Error(Code::internal, std::string("internal error: ") + error.what()));
  }
  progress.add_file();
  if (file.error) progress.print_error_line(*file.error);
  return file;
}

std::string rendered(const DiffReport& report, std::string_view path) {
  if (path.ends_with(".html")) return report::diff_html(report);
  if (path.ends_with(".md")) return report::diff_markdown(report);
  std::string text;
  const auto put = [&](std::string_view piece) { text += piece; };
  if (path.ends_with(".jsonl"))
    report::write_diff_jsonl(report, put);
  else if (path.ends_with(".json"))
    report::write_diff_json(report, put);
  else
    text = report::diff_text(report, {.all = true});
  return text;
}

int save_reports(const DiffReport& report, const DiffOptions& options) {
  int code = 0;
  for (const std::string& path : options.reports) {
    try {
      const std::string text = rendered(report, path);
      FileSink sink(path, text.size(), {.replace = options.force});
      sink.write_at(0, as_bytes(text));
      sink.commit();
    } catch (const Error& error) {
      print_error(error);
      code = 2;
    }
  }
  return code;
}

void print_result(const DiffReport& report, const DiffOptions& options) {
  if (options.json)
    report::write_diff_json(report, print);
  else if (options.jsonl)
    report::write_diff_jsonl(report, print);
  else if (!options.quiet && !(report.files.size() == 1 && report.files[0].error))
    print(report::diff_text(
        report, {.color = options.color, .all = options.all, .width = options.width, .rows = options.rows}));
}

std::uint64_t bytes_of(const std::vector<FolderPair>& pairs) {
  std::uint64_t bytes = 0;
  for (const FolderPair& pair : pairs)
    for (const std::string& path : {pair.before, pair.after}) {
      struct stat status {};
      if (::stat(path.c_str(), &status) == 0) bytes += static_cast<std::uint64_t>(status.st_size);
    }
  return bytes;
}

// What stands in the way of the results is said before the work.
void check_outputs_of(const DiffOptions& options, const FolderPairs& found) {
  std::vector<std::string> outputs = options.reports, inputs{options.before};
  if (!options.save.empty()) outputs.push_back(options.save);
  for (const FolderPair& pair : found.pairs) inputs.insert(inputs.end(), {pair.before, pair.after});
  for (const std::string& path : {options.map, options.policy})
    if (!path.empty()) inputs.push_back(path);
  check_outputs(outputs, inputs, options.force);
}

DiffReport compare_all(const FolderPairs& found, const DiffOptions& options, const Judgement& judgement,
                       const structure::NameMap& names) {
  DiffReport report;
  report.only_before = found.only_before;
  report.only_after = found.only_after;
  parallel::ThreadExecutor executor(options.jobs > 0 ? options.jobs : parallel::usable_processors());
  Progress progress(found.pairs.size(), bytes_of(found.pairs), options.progress && !options.quiet);
  for (const FolderPair& pair : found.pairs)
    report.files.push_back(diff_guarded(pair, options, names, judgement, executor, progress));
  return report;
}

// A bound by name that meets no tensor may be a name misspelt.
void remark_on_bounds(const DiffReport& report, const Judgement& judgement) {
  for (const BoundRow& row : judgement.bounds) {
    const auto meets = [&](const FileDiff& file) {
      return file.error || std::ranges::any_of(file.tensors, [&](const report::TensorRow& tensor) {
               return glob_match(row.pattern, tensor.before.path);
             });
    };
    if (row.pattern != "*" && std::ranges::none_of(report.files, meets))
      print_remark("no tensor has a name that matches " + quote(row.pattern) +
                   ": its bound is without effect");
  }
}

void judge_all_again(DiffReport& report, const Judgement& judgement, const DiffOptions& options) {
  for (FileDiff& file : report.files)
    if (!file.error)
      judge_again(file, judgement, options.spectral);
    else if (options.after.empty())
      print_error(*file.error);
}

}  // namespace

int run_diff(const DiffOptions& given) {
  if (are_goldens(given)) return run_diff_golden(given);
  DiffOptions options = given;
  const bool saves = !options.save.empty(), again = options.after.empty();
  options.judged_again = saves;
  const Judgement judgement = judgement_of(options);
  const structure::NameMap names = options.map.empty() ? structure::NameMap{} : read_name_map(options.map);
  if (options.after.empty()) need_archive(options.before, "diff");
  const FolderPairs found = options.after.empty() ? FolderPairs() : find_pairs(options);
  check_outputs_of(options, found);

  // Kept until the process ends, which is soon: giving back many rows one by one is work that nobody waits
  // for.
  static DiffReport& report = *new DiffReport;
  report = again ? read_archive(options)
                 : compare_all(found, options, saves ? whatever_counts() : judgement, names);
  std::vector<EncodedTable> measured;
  if (saves) measured = encode_measured(report);
  if (saves || again) judge_all_again(report, judgement, options);
  report.version = version();
  report.bounds = judgement.text();
  if (!options.quiet) remark_on_bounds(report, judgement);
  print_result(report, options);
  const int code = std::max(report::exit_code(report), save_reports(report, options));
  if (saves) save_archive(std::move(measured), report, options, names);
  return code;
}

}  // namespace ferry::cli
