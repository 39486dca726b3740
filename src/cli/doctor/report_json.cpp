#include "src/cli/doctor/report.h"
#include "src/core/version.h"
#include "src/report/json.h"

namespace ferry::doctor {
namespace {

using report::JsonWriter;

void optional_field(JsonWriter& json, std::string_view name, const std::optional<std::string>& text) {
  if (text)
    json.field(name, *text);
  else
    json.null_field(name);
}

// Empty means that nothing says it.
void text_field(JsonWriter& json, std::string_view name, const std::string& text) {
  optional_field(json, name, text.empty() ? std::nullopt : std::optional(text));
}

void truth_field(JsonWriter& json, std::string_view name, const std::optional<bool>& truth) {
  if (truth)
    json.field(name, *truth);
  else
    json.null_field(name);
}

void texts_field(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  json.key(name);
  json.begin_array(texts.size() < 2 ? JsonWriter::Lines::one : JsonWriter::Lines::many);
  for (const std::string& text : texts) json.value(text);
  json.end_array();
}

void remarks_field(JsonWriter& json, const std::vector<Remark>& remarks) {
  json.key("findings");
  json.begin_array();
  for (const Remark& remark : remarks) {
    json.begin_object();
    json.field("code", code_name(remark.code));
    json.field("title", info(remark.code).title);
    json.field("conflict", remark.conflict);
    json.field("what", remark.what);
    json.end_object();
  }
  json.end_array();
}

void installations_field(JsonWriter& json, std::string_view name, const std::vector<Installation>& all) {
  json.key(name);
  json.begin_array();
  for (const Installation& one : all) {
    json.begin_object(JsonWriter::Lines::one);
    json.field("path", one.path);
    text_field(json, "version", one.version);
    json.end_object();
  }
  json.end_array();
}

void write_self(JsonWriter& json, const Diagnosis& diagnosis) {
  json.key("torchferry");
  json.begin_object();
  json.field("version", version());
  json.key("features");
  json.begin_object(JsonWriter::Lines::one);
  for (const Feature& feature : diagnosis.features) json.field(feature.name, feature.on);
  json.end_object();
  json.key("helpers");
  json.begin_array();
  for (const Helper& helper : diagnosis.helpers) {
    json.begin_object();
    json.field("program", helper.program);
    json.field("path", helper.path);
    json.field("there", helper.there);
    json.field("answers", helper.answers);
    text_field(json, "failure", helper.failure);
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

void write_machine(JsonWriter& json, const Machine& machine) {
  json.key("machine");
  json.begin_object();
  json.key("nvidia");
  json.begin_object();
  text_field(json, "driver", machine.nvidia.driver);
  text_field(json, "driver_source", machine.nvidia.driver_source);
  text_field(json, "cuda_of_driver", machine.nvidia.cuda_of_driver);
  text_field(json, "libcuda", machine.nvidia.libcuda);
  text_field(json, "nvidia_smi", machine.nvidia.smi);
  texts_field(json, "gpus", machine.nvidia.gpus);
  installations_field(json, "cuda", machine.nvidia.toolkits);
  json.end_object();
  json.key("amd");
  json.begin_object();
  json.field("driver", machine.amd.driver);
  text_field(json, "driver_version", machine.amd.driver_version);
  text_field(json, "rocminfo", machine.amd.rocminfo);
  texts_field(json, "gpus", machine.amd.gpus);
  installations_field(json, "rocm", machine.amd.rocm);
  json.end_object();
  json.end_object();
}

void write_torch(JsonWriter& json, const std::optional<Torch>& torch) {
  if (!torch) {
    json.null_field("torch");
    return;
  }
  json.key("torch");
  json.begin_object();
  text_field(json, "version", torch->version);
  optional_field(json, "metadata_version", torch->metadata_version);
  json.field("build", build_name(torch->build));
  optional_field(json, "cuda", torch->cuda);
  optional_field(json, "rocm", torch->rocm);
  optional_field(json, "hip", torch->hip);
  optional_field(json, "xpu", torch->xpu);
  optional_field(json, "git_version", torch->git_version);
  json.field("path", torch->folder);
  json.end_object();
}

void write_packages(JsonWriter& json, const std::vector<Package>& packages) {
  json.key("packages");
  json.begin_array();
  for (const Package& package : packages) {
    json.begin_object();
    json.field("name", package.name);
    optional_field(json, "installed", package.installed);
    optional_field(json, "range", package.range);
    truth_field(json, "fits", package.fits);
    text_field(json, "metadata", package.metadata);
    json.end_object();
  }
  json.end_array();
}

void write_said(JsonWriter& json, const std::optional<Said>& said) {
  if (!said) {
    json.null_field("said");
    return;
  }
  json.key("said");
  json.begin_object();
  text_field(json, "failure", said->failure);
  text_field(json, "version", said->version);
  text_field(json, "torch", said->torch);
  text_field(json, "torch_error", said->torch_error);
  truth_field(json, "cuda_available", said->cuda_available);
  texts_field(json, "devices", said->devices);
  json.end_object();
}

void write_python(JsonWriter& json, const PythonReport& report) {
  json.begin_object();
  json.field("program", report.python.program());
  json.field("version", report.python.version);
  json.field("kind", report.python.kind);
  json.field("prefix", report.python.prefix);
  texts_field(json, "programs", report.python.programs);
  texts_field(json, "found_by", report.python.found_by);
  texts_field(json, "site_packages", report.python.folders);
  write_torch(json, report.torch);
  text_field(json, "ranges_for", report.release);
  write_packages(json, report.packages);
  remarks_field(json, report.remarks);
  texts_field(json, "install", report.install);
  write_said(json, report.said);
  json.end_object();
}

}  // namespace

void write_json(const Diagnosis& diagnosis, const Put& put) {
  JsonWriter json(put);
  json.begin_object();
  json.field("schema", "torchferry.doctor/1");
  write_self(json, diagnosis);
  write_machine(json, diagnosis.machine);
  remarks_field(json, diagnosis.remarks);
  json.key("pythons");
  json.begin_array();
  for (const PythonReport& report : diagnosis.pythons) write_python(json, report);
  json.end_array();
  json.field("conflicts", diagnosis.conflicts());
  json.end_object();
  json.finish();
}

}  // namespace ferry::doctor
