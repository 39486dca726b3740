#include <algorithm>

#include "src/report/inspection.h"
#include "src/report/inspection_tree.h"

namespace ferry::report {
namespace {

constexpr std::size_t kJsonTreeRows = 200;  // of a summary

using Lines = JsonWriter::Lines;

}  // namespace

void InspectionJson::open(const std::string& path, std::uint64_t size_bytes, std::string_view format) {
  json_.begin_object();
  json_.field("schema", "torchferry.inspect/1");
  json_.field("file", path);
  json_.field("size", size_bytes);
  if (format.empty())
    json_.null_field("format");
  else
    json_.field("format", format);
}

void InspectionJson::close() {
  json_.end_object();
  json_.finish();
}

void InspectionJson::strings(std::string_view name, std::span<const std::string> texts) {
  json_.key(name);
  json_.begin_array();
  for (const std::string& text : texts) json_.value(text);
  json_.end_array();
}

void InspectionJson::error(const Error& error) {
  json_.key("error");
  json_.begin_object();
  json_.field("code", code_name(error.code()));
  json_.field("fault", fault_name(error.fault()));
  json_.field("what", error.summary());
  strings("where", error.where());
  json_.field("hint", error.hint().empty() ? std::string(info(error.code()).hint) : error.hint());
  json_.end_object();
}

void InspectionJson::failed(const std::string& path, std::uint64_t size_bytes, std::string_view format,
                            const Error& fault, const SalvageFacts* whole) {
  open(path, size_bytes, format);
  error(fault);
  if (whole != nullptr) {
    json_.key("salvage");
    json_.begin_object();
    json_.field("story", whole->story);
    strings("whole", whole->whole);
    json_.key("lost");
    json_.begin_array();
    for (const SalvageFacts::Loss& loss : whole->lost) {
      json_.begin_object(JsonWriter::Lines::one);
      json_.field("path", loss.path);
      json_.field("why", loss.why);
      json_.end_object();
    }
    json_.end_array();
    json_.end_object();
  }
  close();
}

void InspectionJson::begin(const Inspection& file) {
  file_ = &file;
  open(file.path, file.size_bytes, file.checkpoint->container.format);
  container();
  writer();
  load();  // the order of the document is its own: a reader of streams has the verdict before the tables
  contents();
  if (!file.modules.empty()) write_modules(json_, file.modules);
  if (!file.checkpoint->class_sources.empty()) sources();
  if (style_.tensors) tensors();
  if (style_.offsets) offsets();
}

void InspectionJson::container() {
  const Container& container = file_->checkpoint->container;
  json_.key("container");
  json_.begin_object();
  if (container.format == "torch zip" || container.format == "TorchScript archive") {
    json_.field("root_folder", container.root_folder);
    json_.field("storage_folder", container.storage_folder);
    if (container.version)
      json_.field("version", *container.version);
    else
      json_.null_field("version");
    if (container.byte_order)
      json_.field("byteorder", *container.byte_order);
    else
      json_.null_field("byteorder");
  }
  json_.field("records", container.records.size());
  json_.field("checksums", container.checksums);
  json_.field("pickle_protocol", container.protocol);
  json_.field("pickle_size", container.pickle_size);
  json_.end_object();
}

void InspectionJson::writer() {
  const WriterFacts& facts = file_->writer;
  const auto release = [&](std::string_view name, const std::string& text) {
    if (text.empty())
      json_.null_field(name);
    else
      json_.field(name, text);
  };
  json_.key("writer");
  json_.begin_object();
  release("pytorch", facts.possible);  // null: written by something else
  release("from", facts.from);
  release("to", facts.to);  // null: or later
  release("likely_from", facts.likely_from);
  release("likely_to", facts.likely_to);
  release("python", facts.python);
  release("tool", facts.tool);
  strings("evidence", facts.evidence);
  json_.end_object();
}

void InspectionJson::load() {
  const LoadFacts& facts = file_->load;
  json_.key("weights_only");
  json_.begin_object();
  json_.field("loads", facts.loads);
  json_.key("objections");
  json_.begin_array();
  for (const LoadFacts::Objection& one : facts.objections) {
    json_.begin_object(Lines::one);
    json_.field("obstacle", one.obstacle);
    json_.field("subject", one.subject);
    json_.field("what", one.what);
    json_.end_object();
  }
  json_.end_array();
  json_.field("mmap", facts.maps);
  if (!facts.maps) json_.field("mmap_because", facts.maps_because);
  strings("cautions", facts.cautions);
  json_.end_object();
}

namespace {

void write_totals(JsonWriter& json, const Totals& totals) {
  json.field("tensors", totals.tensors);
  json.field("parameters", totals.elements);
  json.field("bytes", totals.bytes);
  json.key("dtypes");
  json.begin_array(Lines::one);
  for (const DType dtype : dtypes_of(totals.dtypes)) json.value(info(dtype).name);
  json.end_array();
}

void write_row(JsonWriter& json, const TreeRow& row) {
  json.begin_object(Lines::one);
  json.field("depth", row.depth);
  json.field("name", row.name);
  json.field("path", row.path);
  json.field("type", row.type);
  json.field("text", row.text);
  if (row.totals.tensors > 0) write_totals(json, row.totals);
  json.end_object();
}

void write_numbers(JsonWriter& json, std::string_view name, std::span<const std::int64_t> numbers) {
  json.key(name);
  json.begin_array(Lines::one);
  for (const std::int64_t number : numbers) json.value(number);
  json.end_array();
}

}  // namespace

void InspectionJson::contents() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  const Tree tree(checkpoint);
  const Sharing& sharing = tree.sharing();
  std::uint64_t bytes = 0;
  for (const Storage& storage : checkpoint.storages) bytes += storage.bytes.size;
  json_.key("contents");
  json_.begin_object();
  json_.field("type", tree.root().type);
  write_totals(json_, tree.totals());
  json_.field("storages", checkpoint.storages.size());
  json_.field("storage_bytes", bytes);
  json_.field("tensors_that_share", sharing.shared_tensors);
  json_.key("tree");
  json_.begin_array();
  if (style_.tree || style_.all)
    tree.each([&](const TreeRow& row) { write_row(json_, row); });
  else
    for (const TreeRow& row : tree.summary(kJsonTreeRows)) write_row(json_, row);
  json_.end_array();
  json_.end_object();
}

void InspectionJson::tensors() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  const Sharing sharing = find_sharing(checkpoint, true);
  json_.key("tensors");
  json_.begin_array();
  each_tensor(checkpoint, [&](const std::string& path, const Tensor& tensor) {
    json_.begin_object(Lines::one);
    json_.field("path", path);
    json_.field("dtype", info(tensor.dtype).name);
    write_numbers(json_, "shape", checkpoint.shape(tensor));
    write_numbers(json_, "strides", checkpoint.strides(tensor));
    if (tensor.storage == kNoStorage) {
      json_.null_field("storage");
    } else {
      const Storage& storage = checkpoint.storages[tensor.storage];
      json_.field("storage", storage.key);
      json_.field("device",
                  storage.device < checkpoint.devices.size() ? checkpoint.devices[storage.device] : "");
    }
    json_.field("offset", tensor.offset);
    json_.field("bytes", tensor_bytes(checkpoint, tensor));
    json_.field("requires_grad", tensor.requires_grad);
    json_.field("parameter", tensor.parameter);
    if (tensor.conjugated) json_.field("conjugated", true);
    if (tensor.negated) json_.field("negated", true);
    if (tensor.storage != kNoStorage && sharing.counts[tensor.storage] > 1 &&
        sharing.first[tensor.storage] != path)
      json_.field("shared_with", sharing.first[tensor.storage]);
    json_.end_object();
  });
  json_.end_array();
}

void InspectionJson::offsets() {
  const Checkpoint& checkpoint = *file_->checkpoint;
  json_.key("records");
  json_.begin_array();
  for (const RecordInfo& record : checkpoint.container.records) {
    json_.begin_object(Lines::one);
    json_.field("name", record.name);
    json_.field("offset", record.offset);
    json_.field("size", record.size);
    json_.field("stored_size", record.stored_size);
    if (checkpoint.container.checksums) json_.field("crc32", record.crc);
    json_.end_object();
  }
  json_.end_array();
  json_.key("storages");
  json_.begin_array();
  for (const Storage& storage : checkpoint.storages) {
    json_.begin_object(Lines::one);
    json_.field("key", storage.key);
    json_.field("dtype", storage.untyped ? std::string_view("untyped") : info(storage.dtype).name);
    json_.field("elements", storage.numel);
    if (storage.bytes.source == checkpoint.source)
      json_.field("offset", storage.bytes.offset);
    else
      json_.null_field("offset");  // in the pickle
    json_.field("size", storage.bytes.size);
    json_.field("stored_size", storage.bytes.stored_size);
    json_.field("deflated", storage.bytes.compression == Compression::deflated);
    json_.field("big_endian", storage.bytes.big_endian);
    if (storage.bytes.crc)
      json_.field("crc32", *storage.bytes.crc);
    else
      json_.null_field("crc32");
    json_.end_object();
  }
  json_.end_array();
}

void InspectionJson::sources() {
  json_.key("class_sources");
  json_.begin_array();
  for (const ClassSource& source : file_->checkpoint->class_sources) {
    json_.begin_object(Lines::one);
    json_.field("class", source.class_name);
    json_.field("file", source.file);
    if (style_.code) json_.field("source", file_->checkpoint->values.as_text(source.text).value_or(""));
    json_.end_object();
  }
  json_.end_array();
}

void InspectionJson::globals(std::span<const GlobalFacts> facts) {
  json_.key("globals");
  json_.begin_array();
  for (const GlobalFacts& one : facts) {
    json_.begin_object(Lines::one);
    json_.field("name", one.name);
    json_.field("use", one.use);
    json_.field("class", one.trust);
    json_.field("weights_only", one.accepted);
    json_.field("at", one.at);
    json_.end_object();
  }
  json_.end_array();
}

void InspectionJson::statistics(std::span<const StatisticsFacts> facts) {
  json_.key("statistics");
  json_.begin_array();
  for (const StatisticsFacts& one : facts) {
    json_.begin_object(Lines::one);
    json_.field("path", one.path);
    json_.field("dtype", one.dtype);
    if (!one.why_not.empty()) {
      json_.field("not_measured", one.why_not);
    } else {
      json_.field("count", one.count);
      const bool numbers = one.count > one.nans + one.infinities;
      for (const auto& [name, value] :
           {std::pair{"min", one.min}, {"max", one.max}, {"mean", one.mean}, {"std", one.std}}) {
        if (numbers)
          json_.field(name, value);
        else
          json_.null_field(name);
      }
      json_.field("zeros", one.zeros);
      json_.field("nans", one.nans);
      json_.field("infinities", one.infinities);
    }
    json_.end_object();
  }
  json_.end_array();
}

void InspectionJson::check(const CheckFacts& facts) {
  json_.key("check");
  json_.begin_object();
  json_.field("checksums", facts.checksums);
  json_.field("records", facts.records);
  json_.field("records_without_crc", facts.unsummed);
  json_.field("bytes", facts.bytes);
  json_.key("damaged");
  json_.begin_array();
  for (const CheckFacts::Damage& damage : facts.damages) {
    json_.begin_object(Lines::one);
    json_.field("record", damage.record);
    json_.field("what", damage.what);
    json_.end_object();
  }
  json_.end_array();
  json_.end_object();
}

void InspectionJson::end(const ConvertFacts& facts) {
  json_.key("convert");
  json_.begin_object();
  json_.key("changes");
  json_.begin_array();
  for (const Change& change : facts.changes.changes()) {
    json_.begin_object(Lines::one);
    json_.field("code", code_name(change.code));
    json_.field("path", change.path);
    json_.field("what", change.what);
    json_.end_object();
  }
  json_.end_array();
  if (facts.error) error(*facts.error);
  if (!facts.recipe.empty()) {
    json_.key("recipe");
    json_.begin_object(Lines::one);
    json_.field("name", facts.recipe);
    json_.field("because", facts.recipe_because);
    json_.end_object();
  }
  json_.end_object();
  close();
}

}  // namespace ferry::report
