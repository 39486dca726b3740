#include "src/core/version.h"
#include "src/report/error_json.h"
#include "src/report/forward.h"

namespace ferry::report {
namespace {

class ForwardJson {
 public:
  explicit ForwardJson(JsonWriter& json) : json_(json) {}

  void write(const ForwardVerdict& verdict) {
    json_.field("outcome", outcome_name(verdict.outcome));
    json_.field("semantic", verdict.semantic);
    json_.field("semantic_why", verdict.semantic_why);
    json_.field("inputs", verdict.cases);
    side("before", verdict.before);
    side("after", verdict.after);
    bounds(verdict.bounds);
    json_.field("weights_compared", verdict.weights_compared);
    paths_field(json_, "weights_differing", verdict.weights_differing);
    divergence("first_module", verdict.first_module);
    divergence("first_op", verdict.first_op);
    causes(verdict.causes);
    paths_field(json_, "warnings", verdict.warnings);
    rows("outputs", verdict.outputs);
    rows("modules", verdict.modules);
    rows("ops", verdict.ops);
    names("only_before", verdict.only_before);
    names("only_after", verdict.only_after);
  }

 private:
  void side(std::string_view key, const ForwardSide& side) {
    json_.key(key);
    json_.begin_object();
    json_.field("path", side.path);
    json_.field("model", side.model);
    json_.field("writer", side.writer);
    json_.field("torch", side.torch);
    json_.field("device", side.device);
    json_.end_object();
  }

  void bounds(const ForwardBounds& bounds) {
    json_.key("bounds");
    json_.begin_object();
    json_.field("semantic", bounds.semantic);
    json_.field("rounding", bounds.rounding);
    json_.field("rounding_warn", bounds.rounding_warn);
    json_.field("rounding_inf", bounds.rounding_inf);
    json_.field("rounding_inf_warn", bounds.rounding_inf_warn);
    json_.field("sides", bounds.sides);
    json_.field("floor", bounds.floor);
    json_.field("reduced", bounds.reduced);
    json_.field("reduced_inf", bounds.reduced_inf);
    json_.field("divergence", bounds.divergence);
    json_.field("unstable", bounds.unstable);
    json_.field("precision", precision_name(bounds.precision));
    json_.end_object();
  }

  void name_fields(const RecordName& name) {
    json_.field("module", name.module);
    json_.field("class", name.cls);
    json_.field("call", name.call);
    if (!name.op.empty()) json_.field("op", name.op);
    if (!name.source.empty()) json_.field("source", name.source);
    json_.field("output", name.output);
  }

  void yardstick(std::string_view key, const std::optional<Yardstick>& yardstick) {
    if (!yardstick) return;
    json_.key(key);
    json_.begin_object(JsonWriter::Lines::one);
    json_.field("ratio", yardstick->ratio());
    json_.field("limit", yardstick->limit);
    json_.field("distance", yardstick->distance);
    json_.field("unit", yardstick->unit);
    json_.end_object();
  }

  void divergence(std::string_view key, const std::optional<FirstDivergence>& first) {
    if (!first) return json_.null_field(key);
    json_.key(key);
    json_.begin_object();
    name_fields(first->name);
    if (first->has_enclosing) {
      json_.field("enclosing", first->enclosing);
      json_.field("enclosing_class", first->enclosing_cls);
    }
    json_.field("by", first->by_float64 ? "float64" : "rounding");
    yardstick("distance", first->distance);
    paths_field(json_, "inputs", first->inputs);
    json_.field("last_agreeing", first->last_agreeing);
    json_.end_object();
  }

  void causes(const std::vector<LikelyCause>& causes) {
    json_.key("causes");
    json_.begin_array();
    for (const LikelyCause& cause : causes) {
      json_.begin_object();
      json_.field("id", cause.id);
      json_.field("title", cause.title);
      json_.field("weight", cause.weight);
      paths_field(json_, "reasons", cause.reasons);
      json_.field("cure", cause.cure);
      json_.end_object();
    }
    json_.end_array();
  }

  void rows(std::string_view key, const std::vector<ForwardRow>& rows) {
    json_.key(key);
    json_.begin_array();
    for (const ForwardRow& row : rows) this->row(row);
    json_.end_array();
  }

  void row(const ForwardRow& row) {
    json_.begin_object();
    name_fields(row.name);
    json_.field("run", row.run);
    json_.field("input", row.input);
    json_.field("inputs", row.cases);
    json_.field("inputs_failed", row.failed);
    json_.key("shape");
    json_.begin_array(JsonWriter::Lines::one);
    for (const std::int64_t size : row.shape) json_.value(size);
    json_.end_array();
    json_.field("dtype", row.dtype);
    json_.field("outcome", outcome_name(row.outcome));
    json_.field("why", row.why);
    json_.field("unstable", row.unstable);
    yardstick("semantic", row.semantic);
    yardstick("rounding", row.rounding);
    yardstick("rounding_inf", row.rounding_inf);
    yardstick("before_error", row.before_error);
    yardstick("after_error", row.after_error);
    yardstick("reduced", row.reduced);
    yardstick("reduced_inf", row.reduced_inf);
    if (row.closeness) closeness(*row.closeness);
    if (row.decisions) decisions(*row.decisions);
    json_.end_object();
  }

  void closeness(const Closeness& closeness) {
    json_.key("closeness");
    json_.begin_object(JsonWriter::Lines::one);
    json_.field("elements", closeness.elements);
    json_.field("max_abs", closeness.max_abs);
    json_.field("relative", closeness.relative);
    json_.field("cosine", closeness.cosine);
    json_.field("snr_db", closeness.snr_db);
    json_.field("nonfinite_before", closeness.nonfinite_before);
    json_.field("nonfinite_after", closeness.nonfinite_after);
    json_.field("nonfinite_mismatches", closeness.nonfinite_mismatches);
    json_.end_object();
  }

  void decisions(const Decisions& decisions) {
    json_.key("decisions");
    json_.begin_object(JsonWriter::Lines::one);
    json_.field("axis", decisions.axis);
    json_.field("rows", decisions.rows);
    json_.field("equal", decisions.equal);
    json_.field("ties", decisions.ties);
    json_.field("top_k", decisions.top_k);
    json_.field("top_k_equal", decisions.top_k_equal);
    json_.end_object();
  }

  void names(std::string_view key, const std::vector<RecordName>& names) {
    json_.key(key);
    json_.begin_array();
    for (const RecordName& name : names) {
      json_.begin_object(JsonWriter::Lines::one);
      name_fields(name);
      json_.end_object();
    }
    json_.end_array();
  }

  JsonWriter& json_;
};

}  // namespace

void forward_fields(JsonWriter& json, const ForwardVerdict& verdict) { ForwardJson(json).write(verdict); }

void write_forward_json(const ForwardVerdict& verdict, const JsonWriter::Put& put) {
  JsonWriter json(put);
  json.begin_object();
  json.field("schema", "torchferry.forward/1");
  json.field("version", version());
  forward_fields(json, verdict);
  json.end_object();
  json.finish();
}

}  // namespace ferry::report
