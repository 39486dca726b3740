// How the numbers of a difference are said: short for people, every digit for programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/core/drift.h"

namespace ferry::report {

// The multi-index of a row-major element; empty when the shape has no such element.
std::vector<std::uint64_t> index_of(std::uint64_t element, std::span<const std::int64_t> shape);

std::string three_digits(double value);                      // "1.2e-05", "0.347", "∞", "NaN"
std::string short_count(std::uint64_t count);                // "33.9 M"; below a million grouped
std::string share(std::uint64_t part, std::uint64_t whole);  // "0.347%"; never "0%" or "100%" by rounding
std::string ulps_words(const Ulps& distance);                // "0.5", "1,234", "1.07e+09"
std::string ulps_digits(const Ulps& distance);               // every digit: "18446744073709551615", "12.25"
std::string ulp_bin_end(
    std::size_t bin);  // the upper end of a bin: "0", "0.5", "1", "2", …, "18446744073709551616"
std::string cosine_words(double cosine);                      // "1", "1-2.3e-07", "0.98"
std::string number_words(const Number& number, DType dtype);  // shortest digits that read back
bool is_complex(DType dtype);
bool is_integral(DType dtype);          // integers and booleans
std::string real_digits(double value);  // shortest digits that read back: "0.1", "1e-07", "NaN"

}  // namespace ferry::report
