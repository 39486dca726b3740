#include "formats/json/json.h"

namespace ferry::json {

std::optional<bool> Value::boolean() const {
  const bool* value = std::get_if<bool>(&content_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::int64_t> Value::integer() const {
  const auto* value = std::get_if<std::int64_t>(&content_);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<std::uint64_t> Value::natural() const {
  if (const auto* large = std::get_if<std::uint64_t>(&content_)) return *large;
  const auto value = integer();
  if (!value || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::optional<double> Value::number() const {
  if (const auto* value = std::get_if<double>(&content_)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&content_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::uint64_t>(&content_)) return static_cast<double>(*value);
  return std::nullopt;
}

const Value* Value::find(std::string_view name) const {
  const Object* members = object();
  if (members == nullptr) return nullptr;
  for (const auto& [key, value] : *members)
    if (key == name) return &value;
  return nullptr;
}

// Builds the tree from its leaves: values that are not yet in a container wait on a stack, so that no pointer
// into a growing vector is ever kept.
class TreeBuilder final : public Events {
 public:
  void null() override { add({}); }
  void boolean(bool value) override { add(value); }
  void integer(std::int64_t value) override { add(value); }
  void natural(std::uint64_t value) override { add(value); }
  void real(double value) override { add(value); }
  void text(std::string& value) override { add(std::move(value)); }
  void key(std::string& name) override { names_.push_back(std::move(name)); }
  void begin_object() override { firsts_.push_back(values_.size()); }
  void begin_array() override { firsts_.push_back(values_.size()); }

  void end_object() override {
    const std::size_t first = take_first(), count = values_.size() - first;
    Value::Object members;
    members.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
      members.emplace_back(std::move(names_[names_.size() - count + i]), std::move(values_[first + i]));
    names_.resize(names_.size() - count);
    values_.resize(first);
    add(std::move(members));
  }
  void end_array() override {
    const auto first = values_.begin() + static_cast<std::ptrdiff_t>(take_first());
    Value::Array items(std::make_move_iterator(first), std::make_move_iterator(values_.end()));
    values_.erase(first, values_.end());
    add(std::move(items));
  }

  Value take() { return std::move(values_.back()); }

 private:
  void add(Value::Content content) { values_.emplace_back(std::move(content)); }
  std::size_t take_first() {
    const std::size_t first = firsts_.back();
    firsts_.pop_back();
    return first;
  }

  std::vector<Value> values_;
  std::vector<std::string> names_;
  std::vector<std::size_t> firsts_;  // of each open container, in values_
};

Value parse(std::string_view document, const Rules& rules) {
  TreeBuilder builder;
  read(document, rules, builder);
  return builder.take();
}

}  // namespace ferry::json
