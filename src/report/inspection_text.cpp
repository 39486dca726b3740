#include <algorithm>
#include <functional>
#include <map>

#include "src/core/text.h"
#include "src/report/conversion.h"
#include "src/report/inspection.h"
#include "src/report/inspection_table.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

constexpr std::size_t kTextTreeRows = 30;  // of a summary: the rest of a screen is for what stands around it
constexpr std::size_t kListedMost = 8;     // objections, evidence, changes, unless all are asked for
constexpr std::size_t kModulesShown = 24;
constexpr std::size_t kSourcesNamed = 3;
constexpr std::size_t kInspectionLabel = 12;
constexpr std::string_view kSalvageHint = "torchferry convert --salvage writes what is whole";

struct Paint {
  std::string_view on, off;
};
Paint paint(bool color, std::string_view code) { return color ? Paint{code, "\x1b[0m"} : Paint{"", ""}; }

std::string hex(std::uint64_t number) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  do text.insert(text.begin(), kDigits[number & 15]);
  while ((number >>= 4) != 0);
  return "0x" + text;
}

std::string crc_text(std::uint32_t crc) {
  std::string digits = hex(crc).substr(2);
  return std::string(8 - digits.size(), '0') + digits;
}

// Four digits are enough for a look; the document has them all.
std::string short_real(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string yes(bool is) { return is ? "yes" : ""; }

}  // namespace

// A label and text beside it, folded at spaces where the terminal ends.
void InspectionText::line(std::string_view label, std::string_view text) {
  const std::size_t room = style_.width > kInspectionLabel + 24 ? style_.width - kInspectionLabel - 2 : 0;
  std::string head(label);
  while (true) {
    head.resize(std::max(head.size(), kInspectionLabel), ' ');
    std::size_t end = text.size();
    if (room > 0 && columns_of(text) > room) {
      end = text.find(' ') == std::string_view::npos ? text.size() : text.find(' ');
      for (std::size_t at = end; at != std::string_view::npos && columns_of(text.substr(0, at)) <= room;
           at = text.find(' ', at + 1))
        end = at;
    }
    put_("  " + head + std::string(text.substr(0, end)) + "\n");
    if (end >= text.size()) return;
    text.remove_prefix(end + 1);
    head.clear();
  }
}

void InspectionText::title(const std::string& path, std::uint64_t size_bytes, std::string_view what) {
  if (!first_) put_("\n");
  first_ = false;
  const Paint bold = paint(style_.color, "\x1b[1m");
  put_(std::string(bold.on) + escape_for_terminal(path) + std::string(bold.off) + "  " + std::string(what) +
       (what.empty() ? "" : ", ") + iec_size(size_bytes) + "\n");
}

void InspectionText::section(std::string_view name) {
  const Paint bold = paint(style_.color, "\x1b[1m");
  put_("\n" + std::string(bold.on) + std::string(name) + std::string(bold.off) + "\n");
}

void InspectionText::begin(const Inspection& file) {
  file_ = &file;
  title(file.path, file.size_bytes, file.checkpoint->container.format);
  writer();
  contents();
  modules();
  sources();
  if (style_.tensors) tensors();
  if (style_.offsets) offsets();
}

void InspectionText::writer() {
  const WriterFacts& facts = file_->writer;
  if (facts.possible.empty()) return;
  std::string who = "PyTorch " + facts.possible;
  if (!facts.likely.empty()) who += ", most likely " + facts.likely;
  if (!facts.python.empty()) who += ", Python " + facts.python;
  if (facts.tool == "torchferry")
    who = "torchferry, as " + who;
  else if (!facts.tool.empty())
    who += "; packed again by " + facts.tool;
  line("written by", who);
  const std::size_t count =
      style_.all ? facts.evidence.size() : std::min<std::size_t>(facts.evidence.size(), 4);
  for (std::size_t i = 0; i < count; ++i) line("", facts.evidence[i]);
}

void InspectionText::contents() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  const Tree tree(checkpoint);
  const TreeRow root = tree.root();
  line("holds", root.type + "  " + root.text);
  const Sharing& sharing = tree.sharing();
  std::uint64_t bytes = 0;
  for (const Storage& storage : checkpoint.storages) bytes += storage.bytes.size;
  if (!checkpoint.storages.empty())
    line("", "in " + grouped(checkpoint.storages.size()) +
                 (checkpoint.storages.size() == 1 ? " storage of " : " storages of ") + iec_size(bytes) +
                 (sharing.shared_tensors > 0
                      ? "; " + grouped(sharing.shared_tensors) + " tensors share a storage with others"
                      : ""));
  put_("\n");

  const auto print_row = [&](const TreeRow& row, std::size_t name_width) {
    const std::size_t indent = 2 + 2 * row.depth;
    std::string name = escape_for_terminal(row.name);
    name = std::string(indent, ' ') +
           cut_middle(name, style_.width > 0 ? std::max<std::size_t>(style_.width / 2, 24) : 0);
    name += std::string(name_width - std::min(name_width, columns_of(name)), ' ');
    std::string type = row.type;
    type.resize(std::max<std::size_t>(type.size(), 11), ' ');
    std::string text = name + "  " + type + "  " + row.text;
    while (text.ends_with(' ')) text.pop_back();
    put_(cut_end(text, style_.width) + "\n");
  };
  if (style_.tree || style_.all) {
    tree.each([&](const TreeRow& row) { print_row(row, 44); });
    return;
  }
  const std::vector<TreeRow> rows = tree.summary(kTextTreeRows);
  std::size_t name_width = 0;
  for (const TreeRow& row : rows)
    name_width = std::max(
        name_width, std::min<std::size_t>(2 + 2 * row.depth + columns_of(escape_for_terminal(row.name)), 48));
  for (const TreeRow& row : rows) print_row(row, name_width);
}

void InspectionText::tensors() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  const Sharing sharing = find_sharing(checkpoint, true);
  Table table({{"tensor"},
               {"dtype"},
               {"shape"},
               {"strides"},
               {"storage"},
               {"offset", true},
               {"bytes", true},
               {"grad"},
               {"shared with"}});
  each_tensor(checkpoint, [&](const std::string& path, const Tensor& tensor) {
    const bool meta = tensor.storage == kNoStorage;
    const bool shared = !meta && sharing.counts[tensor.storage] > 1;
    const std::string first = shared && sharing.first[tensor.storage] != path
                                  ? escape_for_terminal(sharing.first[tensor.storage])
                                  : "";
    table.add({escape_for_terminal(path), std::string(info(tensor.dtype).name),
               shape_text(checkpoint.shape(tensor)),
               is_contiguous(checkpoint, tensor) ? "" : shape_text(checkpoint.strides(tensor)),
               meta ? "meta" : escape_for_terminal(checkpoint.storages[tensor.storage].key),
               std::to_string(tensor.offset), grouped(tensor_bytes(checkpoint, tensor)),
               yes(tensor.requires_grad), first.empty() && shared ? "(first)" : first});
  });
  section("tensors");
  table.print(put_, style_.width, "  ");
}

// What a person needs to build a module again that was saved whole.
void InspectionText::modules() {
  const std::span<const ModuleFacts> all = file_->modules;
  if (all.empty()) return;
  section("modules");
  const std::size_t most =
      style_.all || style_.tree || all.size() <= kModulesShown + 1 ? all.size() : kModulesShown;
  for (std::size_t i = 0; i < most; ++i) {
    put_(cut_end("  " + module_line(all[i]), style_.width) + "\n");
  }
  if (most < all.size()) put_("  … " + grouped(all.size() - most) + " more (--all)\n");
}

// torch.save put the source of foreign classes beside modules.
void InspectionText::sources() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  if (checkpoint.class_sources.empty()) return;
  if (!style_.code) {
    put_("\n");
    std::string names;
    const std::size_t count = checkpoint.class_sources.size();
    for (std::size_t i = 0; i < std::min(count, kSourcesNamed); ++i)
      names += (i == 0 ? "" : ", ") + escape_for_terminal(checkpoint.class_sources[i].class_name);
    if (count > kSourcesNamed) names += " and " + grouped(count - kSourcesNamed) + " more";
    line("code", "the source of " + names + " lies in the file (--code shows it)");
    return;
  }
  for (const ClassSource& source : checkpoint.class_sources) {
    section("source of " + escape_for_terminal(source.class_name) + ", " + escape_for_terminal(source.file));
    std::string_view text = checkpoint.values.as_text(source.text).value_or("");
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      put_("  " + escape_for_terminal(text.substr(0, end)) + "\n");
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
}

void InspectionText::offsets() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  const bool checksums = checkpoint.container.checksums;
  if (checksums) {
    Table records({{"record"}, {"offset", true}, {"size", true}, {"stored", true}, {"crc-32"}});
    for (const RecordInfo& record : checkpoint.container.records)
      records.add({escape_for_terminal(record.name), hex(record.offset), grouped(record.size),
                   record.stored_size == record.size ? "" : grouped(record.stored_size),
                   crc_text(record.crc)});
    section("records");
    records.print(put_, style_.width, "  ");
  }
  Table storages({{"storage"},
                  {"dtype"},
                  {"elements", true},
                  {"device"},
                  {"offset", true},
                  {"size", true},
                  {"stored", true},
                  {"crc-32"},
                  {"form"}});
  for (const Storage& storage : checkpoint.storages) {
    const bool own = storage.bytes.source == checkpoint.source;
    const bool deflated = storage.bytes.compression == Compression::deflated;
    storages.add({escape_for_terminal(storage.key),
                  storage.untyped ? "untyped" : std::string(info(storage.dtype).name),
                  grouped(static_cast<std::uint64_t>(storage.numel)),
                  storage.device < checkpoint.devices.size()
                      ? escape_for_terminal(checkpoint.devices[storage.device])
                      : "",
                  own ? hex(storage.bytes.offset) : "in the pickle", grouped(storage.bytes.size),
                  deflated ? grouped(storage.bytes.stored_size) : "",
                  storage.bytes.crc ? crc_text(*storage.bytes.crc) : "",
                  std::string(deflated ? "deflated" : "") + (storage.bytes.big_endian ? " big-endian" : "")});
  }
  if (storages.empty()) return;
  section("storages");
  storages.print(put_, style_.width, "  ");
}

void InspectionText::globals(std::span<const GlobalFacts> facts) {
  Table table({{"name"}, {"used"}, {"torchferry"}, {"weights_only"}, {"first at", true}});
  for (const GlobalFacts& one : facts)
    table.add({escape_for_terminal(one.name), one.use, one.trust, one.accepted ? "accepts" : "refuses",
               hex(one.at)});
  section("names in the pickle");
  if (table.empty())
    put_("  none\n");
  else
    table.print(put_, style_.width, "  ");
}

void InspectionText::statistics(std::span<const StatisticsFacts> facts) {
  Table table({{"tensor"},
               {"dtype"},
               {"min", true},
               {"max", true},
               {"mean", true},
               {"std", true},
               {"zeros", true},
               {"NaN", true},
               {"Inf", true},
               {""}});
  const auto count = [](std::uint64_t number) { return number == 0 ? std::string() : grouped(number); };
  for (const StatisticsFacts& one : facts) {
    const bool numbers = one.why_not.empty() && one.count > one.nans + one.infinities;
    const auto real = [&](double value) { return numbers ? short_real(value) : std::string(); };
    table.add({escape_for_terminal(one.path), one.dtype, real(one.min), real(one.max), real(one.mean),
               real(one.std), count(one.zeros), count(one.nans), count(one.infinities), one.why_not});
  }
  section("statistics");
  table.print(put_, style_.width, "  ");
}

void InspectionText::check(const CheckFacts& facts) {
  section("check");
  const std::string read = grouped(facts.records) + (facts.records == 1 ? " record, " : " records, ") +
                           iec_size(facts.bytes) + " read";
  if (!facts.checksums)
    line("", read +
                 "; sizes and places fit, but the format has no checksums: a flipped bit in a weight cannot "
                 "be seen");
  else if (facts.damages.empty())
    line("", read + ": every checksum is right" +
                 (facts.unsummed > 0 ? "; " + grouped(facts.unsummed) + " records have none" : ""));
  else
    line("", read + ", " + grouped(facts.damages.size()) + " damaged:");
  for (const CheckFacts::Damage& damage : facts.damages)
    line("", escape_for_terminal(damage.record) + ": " + damage.what);
  if (!facts.damages.empty()) line("hint", kSalvageHint);
}

void InspectionText::load() {
  const LoadFacts& facts = file_->load;
  const Paint mark = paint(style_.color, facts.loads ? "\x1b[32m" : "\x1b[31m");
  line("PyTorch 2.x", std::string(mark.on) + (facts.loads ? "loads it" : "refuses it") +
                          std::string(mark.off) + " with torch.load(…, weights_only=True)" +
                          (facts.loads ? "" : ":"));
  const std::size_t most = style_.all ? facts.objections.size() : 1;
  for (std::size_t i = 0; i < facts.objections.size() && i < most; ++i)
    line("", escape_for_terminal(facts.objections[i].what));
  if (facts.objections.size() > most) {
    std::string more = "and after that: ";
    const std::size_t end = std::min(facts.objections.size(), most + kListedMost);
    for (std::size_t i = most; i < end; ++i)
      more += (i > most ? ", " : "") + escape_for_terminal(facts.objections[i].subject);
    if (end < facts.objections.size())
      more += " and " + grouped(facts.objections.size() - end) + " more (--all)";
    line("", more);
  }
  line("", facts.maps ? "mmap=True: yes" : "mmap=True: no, " + facts.maps_because);
  for (const std::string& caution : facts.cautions) line("", escape_for_terminal(caution));
}

void InspectionText::end(const ConvertFacts& facts) {
  put_("\n");
  load();
  std::vector<ChangeGroup> groups = group_changes(facts.changes);
  std::stable_partition(groups.begin(), groups.end(),
                        [](const ChangeGroup& group) { return !is_remark(group.code); });
  std::string_view label = "convert";
  const auto say = [&](const std::string& text) {
    line(label, text);
    label = "";
  };
  if (facts.error)
    say("would fail: " + escape_for_terminal(facts.error->summary()));
  else if (groups.empty() || is_remark(groups.front().code))
    say("would change nothing but the container");
  const std::size_t most = style_.all ? groups.size() : kListedMost;
  for (std::size_t i = 0; i < groups.size() && i < most; ++i) {
    const ChangeGroup& group = groups[i];
    std::string text = is_remark(group.code) ? "note: " : "";
    if (!group.paths.empty() && !group.paths[0].empty()) text += escape_for_terminal(group.paths[0]) + ": ";
    text += escape_for_terminal(group.what);
    if (group.paths.size() > 1) text += " (and " + grouped(group.paths.size() - 1) + " more like it)";
    say(text);
  }
  if (groups.size() > most) say("… " + grouped(groups.size() - most) + " more (--all)");
  if (facts.recipe.empty()) return;
  line("recipe", escape_for_terminal(facts.recipe) + " (convert --recipe " +
                     escape_for_terminal(facts.recipe) + "): " + escape_for_terminal(facts.recipe_because));
}

void InspectionText::whole(const std::string& path, std::uint64_t size_bytes, std::string_view format,
                           const SalvageFacts& facts) {
  title(path, size_bytes, format);
  line("damaged", escape_for_terminal(facts.story));
  const auto list = [&](const char* label, std::size_t count,
                        const std::function<std::string(std::size_t)>& text) {
    constexpr std::size_t kShown = 8;
    const std::size_t shown = style_.all ? count : std::min(count, kShown);
    line(label, grouped(count) + (count == 1 ? " tensor" : " tensors"));
    for (std::size_t i = 0; i < shown; ++i) line("", escape_for_terminal(text(i)));
    if (shown < count) line("", "… and " + grouped(count - shown) + " more; --all shows them");
  };
  list("whole", facts.whole.size(), [&](std::size_t i) { return facts.whole[i]; });
  list("lost", facts.lost.size(),
       [&](std::size_t i) { return facts.lost[i].path + ": " + facts.lost[i].why; });
  line("hint", kSalvageHint);
}

void InspectionText::failed(const std::string& path, std::uint64_t size_bytes, std::string_view format,
                            const Error& error, const SalvageFacts* found) {
  if (found != nullptr) return whole(path, size_bytes, format, *found);
  if (error.fault() != Fault::refused) return;
  title(path, size_bytes, format);
  const Paint mark = paint(style_.color, "\x1b[31m");
  line("refused", std::string(mark.on) + escape_for_terminal(error.summary()) + std::string(mark.off));
  for (const std::string& place : error.where()) line("", escape_for_terminal(place));
  line("", std::string(info(error.code()).meaning));
  const std::string hint = error.hint().empty() ? std::string(info(error.code()).hint) : error.hint();
  if (!hint.empty()) line("hint", hint);
}

}  // namespace ferry::report
