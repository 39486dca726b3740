// Random pairs of tensors of all types, measured, and what is wrong with the result.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/support/naive_drift.h"

namespace ferry::test {

using Random = std::mt19937_64;

std::vector<DType> numeric_types();

// Numbers of one type: any bits, patterns at the edges, or numbers near 1.
Data some_numbers(DType dtype, std::size_t count, Random& random);

struct DriftCase {
  DType b, a;
  Data before, after;
  std::size_t count() const { return before.size() / info(b).itemsize; }
};

// Any two types, mostly few elements; of one type, also numbers that differ in their last bits only.
DriftCase some_case(Random& random);

// What measure_block says of the pairs [from, to), of all.
Drift measured(const DriftCase& c, std::size_t from, std::size_t to);
Drift measured(const DriftCase& c);

// Where a drift is not what naive arithmetic makes it; empty when it is.
std::string disagreement(const Drift& got, const NaiveDrift& naive);

}  // namespace ferry::test
