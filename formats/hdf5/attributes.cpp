#include <utility>

#include "formats/hdf5/skeleton.h"

namespace ferry::hdf5 {
namespace {

Attribute attribute_of(std::string name, Attribute::Kind kind) {
  Attribute attribute;
  attribute.name = std::move(name);
  attribute.kind = kind;
  return attribute;
}

std::vector<std::int64_t> row_of(std::size_t count) { return {static_cast<std::int64_t>(count)}; }

}  // namespace

Attribute text_attribute(std::string name, std::string value) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::text);
  attribute.texts.push_back(std::move(value));
  return attribute;
}

Attribute integer_attribute(std::string name, std::int64_t value) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::integer);
  attribute.integers.push_back(value);
  return attribute;
}

Attribute real_attribute(std::string name, double value) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::real);
  attribute.reals.push_back(value);
  return attribute;
}

Attribute boolean_attribute(std::string name, bool value) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::boolean);
  attribute.integers.push_back(value ? 1 : 0);
  return attribute;
}

Attribute text_attribute(std::string name, std::vector<std::string> values) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::text);
  attribute.shape = row_of(values.size());
  attribute.texts = std::move(values);
  return attribute;
}

Attribute integer_attribute(std::string name, std::vector<std::int64_t> values) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::integer);
  attribute.shape = row_of(values.size());
  attribute.integers = std::move(values);
  return attribute;
}

Attribute real_attribute(std::string name, std::vector<double> values) {
  Attribute attribute = attribute_of(std::move(name), Attribute::Kind::real);
  attribute.shape = row_of(values.size());
  attribute.reals = std::move(values);
  return attribute;
}

}  // namespace ferry::hdf5
